"""What both clients are told of a connection."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from mien.client.attempts import DEADLINE_SECONDS
from mien.client.credentials import Credentials

Channel = TypeVar("Channel")


class Connection(ABC, Generic[Channel]):
    """A channel to one server, made when constructed."""

    def __init__(  # noqa: PLR0913 - what a connection is made of
        self,
        address: str,
        deadline: float = DEADLINE_SECONDS,
        *,
        root_certificates: bytes | None = None,
        certificate_chain: bytes | None = None,
        private_key: bytes | None = None,
        api_key: str | None = None,
        tls: bool = False,
        insecure: bool = False,
    ) -> None:
        """`address` is HOST:PORT; `deadline` is in seconds, for each call with its repetitions.

        Streams have no deadline. `mien.client.credentials` says what the others do; they raise
        SettingsInvalid where a key would be told to whoever listens.
        """
        credentials = Credentials(
            root_certificates, certificate_chain, private_key, api_key, tls, insecure
        )
        self.address = address
        self._deadline = deadline
        self._channel = self._connect(address, credentials)

    @abstractmethod
    def _connect(self, address: str, credentials: Credentials) -> Channel: ...
