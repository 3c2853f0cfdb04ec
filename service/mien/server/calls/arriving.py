"""Requests as bytes, on their way in: what is no message is refused, and nobody waits for ever.

gRPC alone would answer bytes that are no message with INTERNAL, and keep a thread for as long as a
caller takes to send his request. Here every call reads its requests itself, and a watch cuts off
whoever neither sends what he began nor takes what he is sent. Meanwhile nobody keeps more than a
part of the threads waiting: his further calls are refused.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from mien.errors import CallerGone, InvalidRequest, QueueFull
from mien.server.calls.call import current_call
from mien.server.calls.interceptor import Behaviour, Handler, Interceptor, behaviour_of

GRACE_SECONDS = 1.0
"""How long a call has to bring its request whatever else its caller does."""
LOOK_SECONDS = 1.0
"""How often it is looked who keeps us waiting; at most so much later somebody is cut off."""

Parse: TypeAlias = Callable[[bytes], Any]

_log = logging.getLogger(__name__)


class Waits:
    """Whether the server waits for the caller of one call, and since when."""

    def __init__(self, cancel: Callable[[], object], first: float, idle: float) -> None:
        self.cancel = cancel
        self._first, self._idle = first, idle
        self._sending: float | None = None
        self._reading: float | None = None
        self._moved: float | None = None
        """When a message came or was taken last; None if none was."""

    def reading(self) -> None:
        """From now on for a request."""
        self._reading = time.monotonic()

    def read(self) -> None:
        self._reading, self._moved = None, time.monotonic()

    def sending(self) -> None:
        """From now on for an answer to be taken."""
        self._sending = time.monotonic()

    def sent(self) -> None:
        self._sending, self._moved = None, time.monotonic()

    def too_long(self, now: float) -> bool:
        """For a request that is read while answers go out, nobody has waited yet."""
        if self._sending is not None and now - self._sending > self._idle:
            return True
        if self._reading is None:
            return False
        limit = self._first if self._moved is None else self._idle
        return now - max(self._reading, self._moved or 0.0) > limit


class Watch:
    """Cuts off callers for whom the server waits too long. Safe to use from several threads."""

    def __init__(self, first: float, idle: float) -> None:
        """Seconds for a first request to arrive, and for a stream on which nothing moves."""
        self._first, self._idle = first, idle
        self._open: dict[int, Waits] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="mien-watch", daemon=True)
        self._thread.start()

    def begin(self, cancel: Callable[[], object]) -> Waits:
        """A call to look after until `end`."""
        waits = Waits(cancel, self._first, self._idle)
        with self._lock:
            self._open[id(waits)] = waits
        return waits

    def end(self, waits: Waits) -> None:
        with self._lock:
            self._open.pop(id(waits), None)

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            now = time.monotonic()
            with self._lock:
                late = [each for each in self._open.values() if each.too_long(now)]
            for waits in late:
                _log.info("a caller was cut off: he neither sent nor took anything")
                waits.cancel()
                self.end(waits)


class Unread:
    """Of each caller the calls whose first request is not there yet, the oldest first.

    When there are as many as one may have, the oldest is cut off for a new one, unless it came just
    now. Safe to use from several threads.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: dict[str, dict[int, tuple[float, Waits]]] = {}
        self._lock = threading.Lock()

    def begin(self, who: str, waits: Waits) -> None:
        """One more, until `end`. Raises QueueFull."""
        now = time.monotonic()
        with self._lock:
            calls = self._calls.setdefault(who, {})
            oldest = self._oldest(calls, now) if len(calls) >= self._most else None
            calls[id(waits)] = now, waits
        if oldest:
            _log.info("a caller was cut off: too many of his calls have not brought a request")
            oldest.cancel()

    def end(self, who: str, waits: Waits) -> None:
        with self._lock:
            calls = self._calls.get(who, {})
            calls.pop(id(waits), None)
            if not calls:
                self._calls.pop(who, None)

    def _oldest(self, calls: "dict[int, tuple[float, Waits]]", now: float) -> Waits:
        key, (since, waits) = next(iter(calls.items()))
        if now - since < GRACE_SECONDS:
            raise QueueFull(
                f"{self._most} calls are open that have not brought their request; send these "
                "first, or end them, and ask again later",
                GRACE_SECONDS,
            )
        del calls[key]
        return waits


class ArrivalInterceptor(Interceptor):
    """Stands after what turns errors into statuses, before all that looks into requests.

    To gRPC every call is one of a stream of bytes, so that the handler is called before the request
    is there; on the wire there is no difference.
    """

    def __init__(self, watch: Watch, most: int) -> None:
        """`most` calls of one caller may wait for their first request."""
        self._watch = watch
        self._unread = Unread(most)

    def wrap(self, handler: Handler, method: str) -> Handler:
        behaviour = behaviour_of(handler)
        read = self._many(handler) if handler.request_streaming else self._one(handler)
        serialize = handler.response_serializer
        if handler.response_streaming:
            answers = self._stream(behaviour, read)
            return grpc.stream_stream_rpc_method_handler(answers, None, serialize)
        return grpc.stream_unary_rpc_method_handler(self._single(behaviour, read), None, serialize)

    def _one(self, handler: Handler) -> "_Read":
        parse = _parser(handler)

        def read(requests: Iterator[bytes], waits: Waits, context: grpc.ServicerContext) -> Any:
            content = self._first(requests, waits, _caller())
            if content is None:
                raise _without_request(context)
            return parse(content)

        return read

    def _many(self, handler: Handler) -> "_Read":
        parse = _parser(handler)
        return lambda requests, waits, _: self._each(requests, waits, _caller(), parse)

    def _each(
        self, requests: Iterator[bytes], waits: Waits, who: str, parse: Parse
    ) -> Iterator[Any]:
        """Perhaps in a thread that does not know the call."""
        content = self._first(requests, waits, who)
        while content is not None:
            yield parse(content)
            waits.reading()
            content = next(requests, None)
            waits.read()

    def _first(self, requests: Iterator[bytes], waits: Waits, who: str) -> bytes | None:
        """For as long as it is not there its caller has one more such call."""
        self._unread.begin(who, waits)
        waits.reading()
        try:
            return next(requests, None)
        finally:
            waits.read()
            self._unread.end(who, waits)

    def _single(self, behaviour: Behaviour, read: "_Read") -> Behaviour:
        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            waits = self._watch.begin(context.cancel)
            try:
                return behaviour(read(requests, waits, context), context)
            finally:
                self._watch.end(waits)

        return answer

    def _stream(self, behaviour: Behaviour, read: "_Read") -> Behaviour:
        def answers(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            waits = self._watch.begin(context.cancel)
            try:
                for response in behaviour(read(requests, waits, context), context):
                    waits.sending()
                    yield response
                    waits.sent()
            finally:
                self._watch.end(waits)

        return answers


_Read: TypeAlias = Callable[[Iterator[bytes], Waits, grpc.ServicerContext], Any]


def _caller() -> str:
    call = current_call()
    return call.who or call.peer


def _without_request(context: grpc.ServicerContext) -> CallerGone | InvalidRequest:
    if not context.is_active():
        return CallerGone("the caller hung up before the request was there")
    return InvalidRequest("the call ended without a request; send one message, if an empty one")


def _parser(handler: Handler) -> Parse:
    parse = handler.request_deserializer

    def parsed(content: bytes) -> Any:
        try:
            return parse(content) if parse else content
        except DecodeError:
            raise InvalidRequest(
                f"the request of {len(content)} bytes is not the message that this call takes; "
                "send what its .proto says"
            ) from None

    return parsed
