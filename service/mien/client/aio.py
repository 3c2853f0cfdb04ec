"""The client that is awaited."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Self, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from mien.client import requests, rpcs
from mien.client.attempts import Attempts
from mien.client.channel import connect_async
from mien.client.connection import Connection
from mien.client.credentials import Credentials
from mien.client.refusals import translated
from mien.client.rpc import P, Reply, Rpc
from mien.client.unanswered import Unanswered
from mien.v1 import embedding_pb2, gallery_pb2, match_pb2, probe_pb2

_Item = TypeVar("_Item", bound=Message)


def _unary(
    rpc: Rpc[P, Reply],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, Reply]]:
    """A method that makes the call, with the arguments of its request."""

    @wraps(rpc.request)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Reply:
        return await self._send(rpc, rpc.request(*args, **kwargs))

    return method


def _pages(
    rpc: Rpc[P, Reply], field: str, _of: type[_Item]
) -> Callable[Concatenate["AsyncClient", P], AsyncIterator[_Item]]:
    """A method that yields what is in a field of every page."""

    @wraps(rpc.request)
    async def method(
        self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[_Item]:
        request: Any = rpc.request(*args, **kwargs)
        while True:
            page: Any = await self._send(rpc, request)
            for each in getattr(page, field):
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    return method


class AsyncClient(Connection[grpc.aio.Channel]):
    """A connection to one server, for one event loop: the calls of `mien.client.Client`."""

    embed = _unary(rpcs.EMBED)
    verify = _unary(rpcs.VERIFY)
    identify = _unary(rpcs.IDENTIFY)
    create_gallery = _unary(rpcs.CREATE_GALLERY)
    get_gallery = _unary(rpcs.GET_GALLERY)
    galleries = _pages(rpcs.LIST_GALLERIES, "galleries", gallery_pb2.Gallery)
    label_gallery = _unary(rpcs.LABEL_GALLERY)
    retain = _unary(rpcs.RETAIN)
    delete_gallery = _unary(rpcs.DELETE_GALLERY)
    enroll = _unary(rpcs.ENROLL)
    get_subject = _unary(rpcs.GET_SUBJECT)
    subjects = _pages(rpcs.LIST_SUBJECTS, "subjects", gallery_pb2.Subject)
    update_subject = _unary(rpcs.UPDATE_SUBJECT)
    merge_subjects = _unary(rpcs.MERGE_SUBJECTS)
    delete_samples = _unary(rpcs.DELETE_SAMPLES)
    delete_subject = _unary(rpcs.DELETE_SUBJECT)
    export_subject = _unary(rpcs.EXPORT_SUBJECT)
    model = _unary(rpcs.MODEL)
    calibration = _unary(rpcs.CALIBRATION)

    async def is_serving(self, service: str = "") -> bool:
        """The health protocol's answer for one service, or for all."""
        reply = await self._send(rpcs.HEALTH, health_pb2.HealthCheckRequest(service=service))
        return reply.status == health_pb2.HealthCheckResponse.SERVING

    def embed_stream(
        self,
        pictures: AsyncIterable[tuple[str, requests.Picture]],
        multi_face: requests.MultiFace = probe_pb2.MULTI_FACE_POLICY_UNSPECIFIED,
    ) -> AsyncIterator[embedding_pb2.EmbedStreamResponse]:
        """As `Client.embed_stream`."""
        sent = (requests.embed_item(tag, picture, multi_face) async for tag, picture in pictures)
        return self._stream(rpcs.EMBED_STREAM, sent, embedding_pb2.EmbedStreamResponse)

    def identify_stream(
        self, searches: AsyncIterable[tuple[str, match_pb2.IdentifyRequest]]
    ) -> AsyncIterator[match_pb2.IdentifyStreamResponse]:
        """As `Client.identify_stream`."""
        sent = (
            match_pb2.IdentifyStreamRequest(tag=tag, request=each) async for tag, each in searches
        )
        return self._stream(rpcs.IDENTIFY_STREAM, sent, match_pb2.IdentifyStreamResponse)

    async def enroll_batch(
        self, samples: AsyncIterable[gallery_pb2.EnrollSampleRequest], attempts: int | None = None
    ) -> AsyncIterator[gallery_pb2.EnrollBatchResponse]:
        """As `Client.enroll_batch`."""
        sending, trying = (
            _Sending(aiter(samples)),
            Attempts(safe=True, deadline=None, most=attempts),
        )
        call = self._call(rpcs.ENROLL_BATCH, gallery_pb2.EnrollBatchResponse)
        try:
            while True:
                try:
                    async for response in call(sending.requests()):
                        sending.unanswered.answered(response)
                        trying.progressed()
                        yield response
                    return
                except (grpc.RpcError, asyncio.CancelledError) as error:
                    if sending.failure:
                        raise sending.failure from None
                    if not isinstance(error, grpc.RpcError):
                        raise
                    await self._wait(trying, error)
        finally:
            sending.close()

    def _connect(self, address: str, credentials: Credentials) -> grpc.aio.Channel:
        return connect_async(address, credentials)

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(self, rpc: Rpc[..., Reply], request: Message) -> Reply:
        attempts = Attempts(rpc.is_safe(request), self._deadline)
        call: Any = self._channel.unary_unary(
            rpc.path, type(request).SerializeToString, rpc.reply.FromString
        )
        while True:
            try:
                reply: Reply = await call(request, timeout=attempts.left)
            except grpc.RpcError as error:
                await self._wait(attempts, error)
            else:
                return reply

    async def _stream(
        self, path: str, sent: AsyncIterator[Message], reply: type[Reply]
    ) -> AsyncIterator[Reply]:
        try:
            async for response in self._call(path, reply)(sent):
                yield response
        except grpc.RpcError as error:
            raise translated(error, self.address) from error

    def _call(
        self, path: str, reply: type[Reply]
    ) -> Callable[[AsyncIterator[Any]], AsyncIterator[Reply]]:
        call: Any = self._channel.stream_stream(
            path, lambda message: message.SerializeToString(), reply.FromString
        )
        return call  # type: ignore[no-any-return]

    async def _wait(self, attempts: Attempts, error: grpc.RpcError) -> None:
        """Until the next attempt. Raises what the error stands for if there is to be none."""
        refused = translated(error, self.address)
        if (pause := attempts.pause(refused)) is None:
            raise refused from error
        await asyncio.sleep(pause)


class _Sending:
    """As `mien.client.unanswered.Sending`, for one event loop.

    grpc cancels what feeds a stream that broke; the caller's iterator must not notice.
    """

    def __init__(self, items: AsyncIterator[gallery_pb2.EnrollSampleRequest]) -> None:
        self._items = items
        self._pulling: asyncio.Task[bool] | None = None
        self.failure: Exception | None = None
        self.unanswered = Unanswered()

    async def requests(self) -> AsyncIterator[gallery_pb2.EnrollBatchRequest]:
        """From the first that is not answered on."""
        seq = self.unanswered.first
        while True:
            request = self.unanswered.at(seq)
            if request is not None:
                yield request
                seq += 1
                continue
            if self._pulling is None:
                self._pulling = asyncio.create_task(self._pull())
            if not await asyncio.shield(self._pulling):
                if self.failure:
                    raise self.failure
                return
            self._pulling = None

    async def _pull(self) -> bool:
        """Add the next item, if there is one."""
        try:
            item = await anext(self._items, None)
        except Exception as error:
            self.failure = error  # grpc would end the stream and not say why
            return False
        if item is not None:
            self.unanswered.add(item)
        return item is not None

    def close(self) -> None:
        """Wait for no more items."""
        if self._pulling:
            self._pulling.cancel()
