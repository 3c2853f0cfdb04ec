"""The one place where a channel is made, and where credentials go."""

import grpc
import grpc.aio

from mien.client.bearer import Bearer, awaited
from mien.client.credentials import NOBODY, Credentials
from mien.wire import MESSAGE_LIMITS

_OPTIONS = [
    *MESSAGE_LIMITS,
    ("grpc.enable_retries", 0),  # `mien.client.attempts` retries, which knows what is safe
]


def connect(address: str, credentials: Credentials = NOBODY) -> grpc.Channel:
    """Raises SettingsInvalid if the API key would be told to whoever listens."""
    credentials.check(address)
    tls = credentials.of_channel()
    channel = (
        grpc.secure_channel(address, tls, _OPTIONS)
        if tls
        else grpc.insecure_channel(address, _OPTIONS)
    )
    if not credentials.api_key:
        return channel
    return grpc.intercept_channel(channel, Bearer(credentials.api_key))


def connect_async(address: str, credentials: Credentials = NOBODY) -> grpc.aio.Channel:
    """As `connect`."""
    credentials.check(address)
    tls = credentials.of_channel()
    bearer = awaited(credentials.api_key) if credentials.api_key else []
    if tls:
        return grpc.aio.secure_channel(address, tls, _OPTIONS, interceptors=bearer)
    return grpc.aio.insecure_channel(address, _OPTIONS, interceptors=bearer)
