"""A typed client: pictures, vectors or subjects in, the contract's messages out.

Errors are the same exceptions that the server's rooms raise (`mien.errors`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeAlias, TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from mien import errors
from mien.matching.decision import Policy, RawThreshold, TargetFMR
from mien.v1 import (
    decision_pb2,
    embedding_pb2,
    embedding_pb2_grpc,
    gallery_pb2,
    gallery_pb2_grpc,
    match_pb2,
    match_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    probe_pb2,
)
from mien.wire import MAX_MESSAGE_BYTES, MESSAGE_LIMITS

Probe: TypeAlias = bytes | probe_pb2.Embedding | probe_pb2.SubjectRef
"""A picture's bytes, a vector that the served model made, or somebody who is enrolled."""

DEADLINE_SECONDS = 30.0

_Reply = TypeVar("_Reply")


class Client:
    """A connection to one server. Safe to use from several threads."""

    def __init__(self, address: str, deadline: float = DEADLINE_SECONDS) -> None:
        """`address` is HOST:PORT; `deadline` is in seconds, for each call."""
        self.address = address
        self._deadline = deadline
        self._channel = grpc.insecure_channel(address, options=MESSAGE_LIMITS)
        self._embedding = embedding_pb2_grpc.EmbeddingServiceStub(self._channel)
        self._match = match_pb2_grpc.MatchServiceStub(self._channel)
        self._gallery = gallery_pb2_grpc.GalleryServiceStub(self._channel)
        self._model = model_pb2_grpc.ModelServiceStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)

    def embed(self, pictures: Sequence[bytes]) -> embedding_pb2.EmbedResponse:
        """Vectors of 1 to 64 pictures; each has its own outcome."""
        images = [probe_pb2.Image(content=picture) for picture in pictures]
        return self._call(self._embedding.Embed, embedding_pb2.EmbedRequest(images=images))

    def verify(
        self, a: Probe, b: Probe, policy: TargetFMR | RawThreshold | None = None
    ) -> embedding_pb2.VerifyResponse:
        """Are these two the same? Without a policy the server's default FMR decides."""
        request = embedding_pb2.VerifyRequest(a=_probe(a), b=_probe(b), decision=_policy(policy))
        return self._call(self._embedding.Verify, request)

    def identify(
        self, gallery: str, probe: Probe, policy: Policy | None = None, candidates: int = 5
    ) -> match_pb2.IdentifyResponse:
        """Who in the gallery is this? Without a policy the server's default FPIR decides."""
        request = match_pb2.IdentifyRequest(
            gallery_id=gallery,
            probe=_probe(probe),
            max_candidates=candidates,
            decision=_policy(policy),
        )
        return self._call(self._match.Identify, request)

    def create_gallery(self, gallery: str) -> gallery_pb2.Gallery:
        request = gallery_pb2.CreateGalleryRequest(gallery_id=gallery)
        return self._call(self._gallery.CreateGallery, request)

    def get_gallery(self, gallery: str) -> gallery_pb2.Gallery:
        request = gallery_pb2.GetGalleryRequest(gallery_id=gallery)
        return self._call(self._gallery.GetGallery, request)

    def galleries(self, page_size: int = 100) -> Iterator[gallery_pb2.Gallery]:
        """Every gallery in order of id, fetched a page at a time."""
        request = gallery_pb2.ListGalleriesRequest(page_size=page_size)
        while True:
            page = self._call(self._gallery.ListGalleries, request)
            yield from page.galleries
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def delete_gallery(self, gallery: str) -> gallery_pb2.DeleteReceipt:
        request = gallery_pb2.DeleteGalleryRequest(gallery_id=gallery)
        return self._call(self._gallery.DeleteGallery, request)

    def enroll(
        self, gallery: str, subject: str, sample: bytes | probe_pb2.Embedding
    ) -> gallery_pb2.EnrollSampleResponse:
        """Add a picture or a vector to a subject. Sending it again changes nothing."""
        request = gallery_pb2.EnrollSampleRequest(gallery_id=gallery, subject_id=subject)
        if isinstance(sample, bytes):
            request.image.content = sample
        else:
            request.embedding.CopyFrom(sample)
        return self._call(self._gallery.EnrollSample, request)

    def delete_subject(self, gallery: str, subject: str) -> gallery_pb2.DeleteReceipt:
        request = gallery_pb2.DeleteSubjectRequest(gallery_id=gallery, subject_id=subject)
        return self._call(self._gallery.DeleteSubject, request)

    def model(self) -> model_pb2.Model:
        """What is served."""
        return self._call(self._model.GetModel, model_pb2.GetModelRequest())

    def is_serving(self, service: str = "") -> bool:
        """The health protocol's answer for one service, or for all."""
        request = health_pb2.HealthCheckRequest(service=service)
        check = self._health.Check  # type: ignore[attr-defined]  # its stubs leave it out
        reply: health_pb2.HealthCheckResponse = self._call(check, request)
        return reply.status == health_pb2.HealthCheckResponse.SERVING

    @property
    def channel(self) -> grpc.Channel:
        """For services that have a module of their own."""
        return self._channel

    def refusal(self, error: grpc.RpcError) -> errors.MienError:
        """The exception that a failed call stands for."""
        return self._translate(error)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: Callable[..., _Reply], request: Any) -> _Reply:
        try:
            return method(request, timeout=self._deadline)
        except grpc.RpcError as error:
            raise self._translate(error) from error

    def _translate(self, error: grpc.RpcError) -> errors.MienError:
        """The exception that the server's status stands for."""
        assert isinstance(error, grpc.Call)  # noqa: S101 - every RpcError of a call is one
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return errors.ImageTooLarge(
                f"the request is too large for one message of {MAX_MESSAGE_BYTES:,} bytes "
                f"({error.details()}); send smaller pictures, or embeddings"
            )
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return errors.ServerUnavailable(
                f"no answer from {self.address} ({error.details()}); is `mien serve` running there?"
            )
        return errors.of_reason(_reason(error))(error.details())


def _reason(error: grpc.Call) -> str:
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return errors.Internal.reason


def _probe(probe: Probe) -> probe_pb2.Probe:
    if isinstance(probe, bytes):
        return probe_pb2.Probe(image=probe_pb2.Image(content=probe))
    if isinstance(probe, probe_pb2.SubjectRef):
        return probe_pb2.Probe(subject=probe)
    return probe_pb2.Probe(embedding=probe)


def _policy(policy: Policy | None) -> decision_pb2.DecisionPolicy | None:
    if policy is None:
        return None
    if isinstance(policy, RawThreshold):
        return decision_pb2.DecisionPolicy(raw_threshold=policy.threshold)
    if isinstance(policy, TargetFMR):
        return decision_pb2.DecisionPolicy(target_fmr=policy.rate)
    return decision_pb2.DecisionPolicy(target_fpir=policy.rate)
