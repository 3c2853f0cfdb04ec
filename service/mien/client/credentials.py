"""What a client shows of itself, and by what it knows the server."""

from dataclasses import dataclass, field

import grpc

from mien.errors import SettingsInvalid
from mien.wire import is_loopback


@dataclass(frozen=True)
class Credentials:
    """Nothing of them: plain text, and nobody in particular. Secrets are never printed.

    Any of the certificates makes the connection TLS; so does `tls` alone, with the authorities
    that gRPC brings. A key goes over plain text only to this machine, or with `insecure`.
    """

    root_certificates: bytes | None = None
    """Of the authorities that the server's certificate may be from, in PEM."""
    certificate_chain: bytes | None = None
    """The client's own, in PEM, with `private_key` (mutual TLS)."""
    private_key: bytes | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    tls: bool = False
    insecure: bool = False

    def __post_init__(self) -> None:
        if (self.certificate_chain is None) != (self.private_key is None):
            raise SettingsInvalid("a certificate and its private key go together; give both")

    @property
    def encrypted(self) -> bool:
        return self.tls or bool(self.root_certificates or self.certificate_chain)

    def check(self, address: str) -> None:
        """Raises SettingsInvalid if the key would be told to whoever listens."""
        host = address.rpartition(":")[0].strip("[]")
        if self.api_key and not (self.encrypted or self.insecure or is_loopback(host)):
            raise SettingsInvalid(
                f"the API key would go to {host} unencrypted; give the authority of the server's "
                "certificate (--tls-ca), or --tls, or say --insecure"
            )

    def of_channel(self) -> grpc.ChannelCredentials | None:
        """None for plain text."""
        if not self.encrypted:
            return None
        return grpc.ssl_channel_credentials(
            self.root_certificates, self.private_key, self.certificate_chain
        )


NOBODY = Credentials()
