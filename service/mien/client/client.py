"""The client that waits for its answers."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Concatenate, Self, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from mien.client import requests, rpcs
from mien.client.attempts import Attempts
from mien.client.channel import connect
from mien.client.connection import Connection
from mien.client.credentials import Credentials
from mien.client.refusals import translated
from mien.client.rpc import P, Reply, Rpc
from mien.client.unanswered import Sending
from mien.v1 import embedding_pb2, gallery_pb2, match_pb2, probe_pb2

_Item = TypeVar("_Item", bound=Message)


def _unary(rpc: Rpc[P, Reply]) -> Callable[Concatenate["Client", P], Reply]:
    """A method that makes the call, with the arguments of its request."""

    @wraps(rpc.request)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Reply:
        return self._send(rpc, rpc.request(*args, **kwargs))

    return method


def _pages(
    rpc: Rpc[P, Reply], field: str, _of: type[_Item]
) -> Callable[Concatenate["Client", P], Iterator[_Item]]:
    """A method that yields what is in a field of every page."""

    @wraps(rpc.request)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[_Item]:
        request: Any = rpc.request(*args, **kwargs)
        while True:
            page: Any = self._send(rpc, request)
            yield from getattr(page, field)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    return method


class Client(Connection[grpc.Channel]):
    """A connection to one server. Safe to use from several threads.

    Calls that change nothing, and changes, which carry a request id, are made again where the
    server cannot be reached or says when to try again (`mien.client.attempts`).
    """

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

    def is_serving(self, service: str = "") -> bool:
        """The health protocol's answer for one service, or for all."""
        reply = self._send(rpcs.HEALTH, health_pb2.HealthCheckRequest(service=service))
        return reply.status == health_pb2.HealthCheckResponse.SERVING

    def embed_stream(
        self,
        pictures: Iterable[tuple[str, requests.Picture]],
        multi_face: requests.MultiFace = probe_pb2.MULTI_FACE_POLICY_UNSPECIFIED,
    ) -> Iterator[embedding_pb2.EmbedStreamResponse]:
        """Vectors of pictures with tags, as they are ready, for as many as there are."""
        sent = (requests.embed_item(tag, picture, multi_face) for tag, picture in pictures)
        return self._stream(rpcs.EMBED_STREAM, sent, embedding_pb2.EmbedStreamResponse)

    def identify_stream(
        self, searches: Iterable[tuple[str, match_pb2.IdentifyRequest]]
    ) -> Iterator[match_pb2.IdentifyStreamResponse]:
        """Answers of searches with tags, as they are ready; `mien.client.search` makes one."""
        sent = (match_pb2.IdentifyStreamRequest(tag=tag, request=each) for tag, each in searches)
        return self._stream(rpcs.IDENTIFY_STREAM, sent, match_pb2.IdentifyStreamResponse)

    def enroll_batch(
        self, samples: Iterable[gallery_pb2.EnrollSampleRequest], attempts: int | None = None
    ) -> Iterator[gallery_pb2.EnrollBatchResponse]:
        """What became of each sample, in order; `mien.client.enrolment` makes one.

        All are for one gallery. If the server goes away the stream goes on where it was, and
        nothing is enrolled twice; it is tried `attempts` times in a row, or as often as a
        single call.
        """
        sending, trying = Sending(iter(samples)), Attempts(safe=True, deadline=None, most=attempts)
        while True:
            try:
                for response in self._call(rpcs.ENROLL_BATCH, gallery_pb2.EnrollBatchResponse)(
                    sending.requests()
                ):
                    sending.unanswered.answered(response)
                    trying.progressed()
                    yield response
                return
            except grpc.RpcError as error:
                if sending.failure:
                    raise sending.failure from None
                self._wait(trying, error)

    @property
    def channel(self) -> grpc.Channel:
        """For services that have a module of their own."""
        return self._channel

    def _connect(self, address: str, credentials: Credentials) -> grpc.Channel:
        return connect(address, credentials)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, rpc: Rpc[..., Reply], request: Message) -> Reply:
        attempts = Attempts(rpc.is_safe(request), self._deadline)
        call = self._channel.unary_unary(
            rpc.path, type(request).SerializeToString, rpc.reply.FromString
        )
        while True:
            try:
                return call(request, timeout=attempts.left)
            except grpc.RpcError as error:
                self._wait(attempts, error)

    def _stream(self, path: str, sent: Iterator[Message], reply: type[Reply]) -> Iterator[Reply]:
        try:
            yield from self._call(path, reply)(sent)
        except grpc.RpcError as error:
            raise translated(error, self.address) from error

    def _call(self, path: str, reply: type[Reply]) -> Callable[[Iterator[Any]], Iterator[Reply]]:
        return self._channel.stream_stream(
            path, lambda message: message.SerializeToString(), reply.FromString
        )

    def _wait(self, attempts: Attempts, error: grpc.RpcError) -> None:
        """Until the next attempt. Raises what the error stands for if there is to be none."""
        refused = translated(error, self.address)
        if (pause := attempts.pause(refused)) is None:
            raise refused from error
        time.sleep(pause)
