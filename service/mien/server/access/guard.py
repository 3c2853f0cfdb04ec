"""Who calls, what he may do, how often; and the audit of what came of it.

Who calls is known before a request is read: whoever is not let in keeps no thread waiting for it.
Requests of a stream are looked at one by one, as they are read: each may name another gallery.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

import grpc

from mien import errors
from mien.server.access.audit import Audit
from mien.server.access.keyring import Keyring
from mien.server.access.keys import Key
from mien.server.access.outcomes import Outcome, asked, outcome_of
from mien.server.access.rates import Rates
from mien.server.access.table import Access, access_of, check_role, check_scope, galleries_in
from mien.server.access.wrong_keys import WrongKeys
from mien.server.calls.call import Call, current_call, metadata
from mien.server.calls.interceptor import Behaviour, Handler, Interceptor, wrapped
from mien.v1 import match_pb2, reason_pb2

_NO_GALLERY = "there is no such gallery"
"""For who may not know of all: the usual message suggests others."""


class Guard(Interceptor):
    """Lets callers in. Stands after what turns errors into statuses, before requests are read.

    Without a keyring everybody may do everything, and is known by certificate or address.
    """

    def __init__(
        self, keyring: Keyring | None, wrong: WrongKeys, rates: Rates, audit: Audit | None
    ) -> None:
        self._keyring, self._wrong, self._rates, self._audit = keyring, wrong, rates, audit

    def wrap(self, handler: Handler, method: str) -> Handler:
        access = access_of(method)
        if not access.roles:
            return handler
        return wrapped(
            handler, partial(self._single, access=access), partial(self._stream, access=access)
        )

    def _single(self, behaviour: Behaviour, access: Access) -> Behaviour:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            call = current_call()
            with self._record(call, access) as record:
                entry = self._admit(call, context, once=True)
                call.inspect = partial(entry.checked, record=record)
                response = behaviour(request, context)
                record.say(response)
                return response

        return answer

    def _stream(self, behaviour: Behaviour, access: Access) -> Behaviour:
        def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            call = current_call()
            with self._record(call, access) as record:
                entry = self._admit(call, context, once=False)
                call.inspect = partial(entry.checked, record=record)
                for response in behaviour(request, context):
                    record.say(response, isinstance(response, _DECISIONS))
                    yield entry.discreet(response)
                if entry.refusal:
                    raise entry.refusal

        return answers

    def _admit(self, call: Call, context: grpc.ServicerContext, once: bool) -> "_Entry":
        """Raises Unauthenticated, PermissionDenied and RateLimited."""
        call.who = _name_of(call, context)
        if key := self._key_of(call, context):
            call.who, call.scope = f"key:{key.id}", key.galleries
            check_role(key, call.method)
        self._rates.take(call.who)
        return _Entry(call, key, self._rates, context.is_active, once)

    def _key_of(self, call: Call, context: grpc.ServicerContext) -> Key | None:
        if not self._keyring:
            return None
        try:
            return self._keyring.key_of(metadata(context, "authorization"))
        except errors.Unauthenticated:
            self._wrong.take(call.peer)
            raise

    def _record(self, call: Call, access: Access) -> "_Record":
        return _Record(call, self._audit if access.audited else None)


class Inspector(Interceptor):
    """Looks at the requests of who was let in. Stands where they have been read."""

    def wrap(self, handler: Handler, method: str) -> Handler:
        inspect = partial(_inspected, streaming=handler.request_streaming)
        return wrapped(handler, inspect, inspect)


def _inspected(behaviour: Behaviour, streaming: bool) -> Behaviour:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        inspect = current_call().inspect
        return behaviour(inspect(request, streaming) if inspect else request, context)

    return answer


_DECISIONS = (match_pb2.IdentifyStreamResponse,)
"""Messages of streams that are audited one by one; of others it is told how many there were."""


class _Record:
    """Audits what a call comes to: what is said within, or what ends it."""

    def __init__(self, call: Call, audit: Audit | None) -> None:
        self._call, self._audit = call, audit
        self._facts: dict[str, Any] = {}
        self._said: Outcome = ("answered", {})
        self._words: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._end(error)
        if isinstance(error, errors.GalleryNotFound) and self._call.scope is not None:
            raise errors.GalleryNotFound(_NO_GALLERY) from None

    def asked(self, request: Any) -> None:
        if self._audit:
            self._facts = asked(request)

    def say(self, response: Any, at_once: bool = False) -> None:
        """What is answered to the call, or one message of a stream of answers."""
        if not self._audit:
            return
        word, facts = self._said = outcome_of(response)
        self._words[word] = self._words.get(word, 0) + 1
        if at_once:
            self._audit.write(self._call, word, self._facts | facts)

    def _end(self, error: BaseException | None) -> None:
        if not self._audit:
            return
        word, facts = self._said
        if sum(self._words.values()) > 1:
            word, facts = "streamed", {"messages": self._words}
        if error is not None:
            facts = {"messages": self._words} if self._words else {}
            word = "refused" if isinstance(error, errors.MienError) else "failed"
            word = "hung up" if isinstance(error, GeneratorExit | grpc.RpcError) else word
            facts["reasons"] = [getattr(error, "reason", type(error).__name__)]
        if isinstance(error, errors.RateLimited):
            self._audit.count(self._call, word, facts)
            return
        self._audit.write(self._call, word, self._facts | facts)


class _Entry:
    """What a caller who was let in may go on to do."""

    def __init__(
        self, call: Call, key: Key | None, rates: Rates, is_active: Callable[[], bool], once: bool
    ) -> None:
        self._call, self._key, self._rates, self._is_active = call, key, rates, is_active
        self._answers_once = once
        self.refusal: errors.MienError | None = None

    def checked(self, request: Any, streaming: bool, record: _Record) -> Any:
        """The request, or the stream of requests. Raises PermissionDenied."""
        if not streaming:
            record.asked(request)
            self._check(request)
            return request
        return self._each(request)

    def discreet(self, response: Any) -> Any:
        """Without names of galleries that the caller may not know of."""
        if self._call.scope is not None and "rejected" in response.DESCRIPTOR.fields_by_name:
            rejected = response.rejected
            if reason_pb2.REASON_GALLERY_NOT_FOUND in rejected.reasons:
                rejected.message = _NO_GALLERY
        return response

    def _check(self, request: Any) -> None:
        named = galleries_in(request)
        self._call.galleries |= named
        if self._key:
            check_scope(self._key, named)

    def _each(self, requests: Iterator[Any]) -> Iterator[Any]:
        """The first was paid for with the call; the others wait until they may be asked.

        A stream of answers ends early at what is refused, for `refusal` to be raised when answers
        have been given. A single answer must not be made of a part: it is raised at once.
        """
        try:
            for at, request in enumerate(requests):
                if at:
                    self._rates.wait(self._call.who, self._is_active)
                self._check(request)
                yield request
        except errors.MienError as error:
            self.refusal = error
            if self._answers_once:
                raise


def _name_of(call: Call, context: grpc.ServicerContext) -> str:
    """Of a caller without a key: by its certificate, or its address."""
    for name in context.peer_identities() or ():
        return f"certificate:{name.decode(errors='replace')}"
    return f"peer:{call.peer}"
