"""What both ends of the wire must agree on."""

import ipaddress

MAX_MESSAGE_BYTES = 16 * 2**20
"""gRPC's own limit, 4 MiB, is too small for photographs."""

MESSAGE_LIMITS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]
"""As options of a channel or a server."""

ALL_REASONS = "reasons"
"""In the metadata of an ErrorInfo: all reasons of a face that is refused for several, by commas."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
