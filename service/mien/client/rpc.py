"""A call of the contract, as both clients make it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

from google.protobuf.message import Message

P = ParamSpec("P")
Reply = TypeVar("Reply", bound=Message)

READS = (
    "Check",
    "Embed",
    "Export",
    "Find",
    "Get",
    "Identify",
    "List",
    "Prove",
    "Snapshot",
    "Verify",
)
"""How the names of methods begin that change nothing."""


@dataclass(frozen=True)
class Rpc(Generic[P, Reply]):
    """A method of one request and one reply: `request` makes the first, `reply` is the second."""

    service: str
    method: str
    request: Callable[P, Message]
    reply: type[Reply]

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.method}"

    def is_safe(self, request: Message) -> bool:
        """It may be sent twice: it changes nothing, or the server knows it by its request id."""
        return self.method.startswith(READS) or bool(getattr(request, "request_id", ""))
