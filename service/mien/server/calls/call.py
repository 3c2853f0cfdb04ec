"""What is known of a call that is being answered."""

import random
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import grpc

REQUEST_ID = "x-request-id"
"""The metadata that a caller may send, and is answered with."""

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")
ID_BITS = 128
MOST_PEERS = 1024
"""Addresses that are kept as they were read; each connection has another."""

_ids = random.Random()  # noqa: S311 - they tell calls apart, and guard nothing
"""Not the system's: reading that gives the interpreter's lock away, in the midst of each call."""

_call: ContextVar["Call"] = ContextVar("call")
_arrived: ContextVar[float] = ContextVar("arrived")
"""gRPC gives each call a context of its own, from its arrival to its end."""


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
    inspect: Callable[[Any, bool], Any] | None = None
    """Looks at the request, or at each of a stream if told so; once the caller was let in."""


def arrive() -> None:
    """Note that a call has come, for `arrived`; the thread that will answer it may be busy."""
    _arrived.set(time.monotonic())


def arrived() -> float:
    """When the call came, on `time.monotonic`'s clock."""
    return _arrived.get()


def begin(method: str, context: grpc.ServicerContext) -> Call:
    """Note the call, for `current_call`, and for the logs of the thread that answers it."""
    call = Call(method, _id_of(context), peer_of(context))
    _call.set(call)
    return call


def current_call() -> Call:
    """The call that this thread answers."""
    return _call.get()


def current_request_id() -> str:
    """Of the call that this thread answers; empty in all other threads."""
    call = _call.get(None)
    return call.request_id if call else ""


def metadata(context: grpc.ServicerContext, name: str) -> str | None:
    """A value that the caller sent; None if there is none, or several."""
    found = None
    for key, value in context.invocation_metadata() or ():
        if key == name:
            if found is not None or not isinstance(value, str):
                return None
            found = value
    return found


def peer_of(context: grpc.ServicerContext) -> str:
    """`127.0.0.1` of `ipv4:127.0.0.1:50051`, `::1` of `ipv6:%5B::1%5D:50051`, else as it is."""
    return _address(context.peer())


@lru_cache(MOST_PEERS)
def _address(quoted: str) -> str:
    peer = unquote(quoted)
    kind, _, address = peer.partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else peer


def _id_of(context: grpc.ServicerContext) -> str:
    """The caller's own, if it is sane; it goes into logs."""
    given = metadata(context, REQUEST_ID)
    if given and _SANE.fullmatch(given):
        return given
    return f"{_ids.getrandbits(ID_BITS):0{ID_BITS // 4}x}"
