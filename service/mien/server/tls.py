"""The server's side of TLS, and of mutual TLS."""

import ssl
from pathlib import Path

import grpc

from mien.errors import SettingsInvalid
from mien.server.settings import Settings


def credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """None where the settings name no certificate. Raises SettingsInvalid.

    The files are looked at here, by OpenSSL: gRPC would tell of a bad one only in its own log, and
    refuse every caller.
    """
    if settings.certificate is None or settings.private_key is None:
        return None
    _check(settings.certificate, settings.private_key, settings.client_ca)
    pair = (settings.private_key.read_bytes(), settings.certificate.read_bytes())
    authorities = settings.client_ca.read_bytes() if settings.client_ca else None
    return grpc.ssl_server_credentials(
        [pair], authorities, require_client_auth=authorities is not None
    )


def _check(certificate: Path, private_key: Path, client_ca: Path | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An encrypted key would be asked for at the terminal.
        context.load_cert_chain(certificate, private_key, password="")
    except (OSError, ValueError) as error:
        raise SettingsInvalid(
            f"{certificate} and {private_key} are no certificate in PEM and its key, without a "
            f"password: {error}"
        ) from None
    if client_ca is None:
        return
    try:
        context.load_verify_locations(client_ca)
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{client_ca} has no certificates in PEM: {error}") from None
