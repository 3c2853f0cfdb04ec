"""What is known of a call that is being answered."""

import re
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import grpc

REQUEST_ID = "x-request-id"
"""The metadata that a caller may send, and is answered with."""

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")
_calls: WeakKeyDictionary[grpc.ServicerContext, "Call"] = WeakKeyDictionary()
_request_id: ContextVar[str] = ContextVar("request_id", default="")


@dataclass
class Call:
    """One call, from its arrival to its end."""

    method: str
    request_id: str
    peer: str
    """The caller's address, without the port."""
    began: float = field(default_factory=time.monotonic)
    who: str = ""
    """`key:<id>`, `certificate:<name>` or `peer:<address>`, once it is known."""
    scope: frozenset[str] | None = None
    """The galleries that the caller may know of; None means all."""
    galleries: set[str] = field(default_factory=set)
    """Those that the requests named."""


def begin(method: str, context: grpc.ServicerContext) -> Call:
    """Note the call, for `call_of`, and for the logs of the thread that answers it."""
    call = Call(method, _id_of(context), peer_of(context))
    _calls[context] = call
    _request_id.set(call.request_id)
    return call


def call_of(context: grpc.ServicerContext) -> Call:
    """The call that a context is of."""
    return _calls[context]


def current_request_id() -> str:
    """Of the call that this thread answers, or answered last; empty in all other threads."""
    return _request_id.get()


def metadata(context: grpc.ServicerContext, name: str) -> str | None:
    """A value that the caller sent; None if there is none, or several."""
    found = [value for key, value in context.invocation_metadata() or () if key == name]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else None


def peer_of(context: grpc.ServicerContext) -> str:
    """`127.0.0.1` of `ipv4:127.0.0.1:50051`, `::1` of `ipv6:%5B::1%5D:50051`, else as it is."""
    peer = unquote(context.peer())
    kind, _, address = peer.partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else peer


def _id_of(context: grpc.ServicerContext) -> str:
    """The caller's own, if it is sane; it goes into logs."""
    given = metadata(context, REQUEST_ID)
    return given if given and _SANE.fullmatch(given) else secrets.token_hex(16)
