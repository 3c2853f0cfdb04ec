"""EmbeddingService."""

from collections.abc import Iterator, Sequence

import grpc
import numpy as np

from mien.errors import InvalidArgument, InvalidRequest
from mien.matching.calibration import fusion_of
from mien.matching.decision import Decision, TargetFMR, TargetFPIR, decide
from mien.matching.fusion import Rule, fuse
from mien.matching.metrics import Vectors
from mien.server import messages
from mien.server.explanations import Explanations
from mien.server.looks import Look
from mien.server.paging import MAX_BATCH
from mien.server.probes import Probes, read_one_face
from mien.server.streams import Streams
from mien.v1 import embedding_pb2, embedding_pb2_grpc, probe_pb2


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    def __init__(
        self, probes: Probes, explanations: Explanations, streams: Streams, default: TargetFMR
    ) -> None:
        self._bundle = probes.pipeline.bundle
        self._probes = probes
        self._explanations = explanations
        self._streams = streams
        self._default = default

    def Embed(
        self, request: embedding_pb2.EmbedRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.EmbedResponse:
        if not 1 <= len(request.images) <= MAX_BATCH:
            raise InvalidRequest(f"{len(request.images)} images; a call takes 1 to {MAX_BATCH}")
        outcomes = self._probes.embed_each(request.images, read_one_face(request.multi_face))
        response = embedding_pb2.EmbedResponse(model_fingerprint=self._bundle.manifest.fingerprint)
        for index, outcome in enumerate(outcomes):
            item = response.items.add(index=index)
            if isinstance(outcome, InvalidArgument):
                item.rejected.CopyFrom(messages.write_rejection(outcome))
            else:
                item.ok.CopyFrom(self._write(outcome))
        return response

    def EmbedStream(
        self,
        request_iterator: Iterator[embedding_pb2.EmbedStreamRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[embedding_pb2.EmbedStreamResponse]:
        reply = embedding_pb2.EmbedStreamResponse
        return self._streams.as_ready(
            request_iterator,
            context,
            lambda request: reply(tag=request.tag, ok=self._embedded(request)),
            lambda request, refused: reply(tag=request.tag, rejected=refused),
        )

    def Verify(
        self, request: embedding_pb2.VerifyRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.VerifyResponse:
        calibration = self._bundle.calibration
        policy = messages.read_policy(request.decision, self._default)
        if isinstance(policy, TargetFPIR):
            raise InvalidRequest("target_fpir is for Identify; Verify takes target_fmr")
        multi_face = read_one_face(request.multi_face)
        looks = [self._probes.look(side, multi_face) for side in (request.a, request.b)]
        a, b = (look.vectors for look in looks)
        probe, subject = sorted((a, b), key=len)
        decision = decide(policy, calibration, samples_per_subject=len(subject), probes=len(probe))
        similarity = _similarity(probe, subject, fusion_of(calibration))
        if decision.accepts(similarity):
            self._probes.matched(request.a, request.b)
        response = self._answer(similarity, decision, looks)
        if request.explain:
            sides = (request.a, a), (request.b, b)
            response.explanation.CopyFrom(
                self._explanations.of_comparison(*sides, similarity, decision)
            )
        return response

    def _answer(
        self, similarity: float, decision: Decision, sides: Sequence[Look]
    ) -> embedding_pb2.VerifyResponse:
        measured = any(side.quality for side in sides)
        return embedding_pb2.VerifyResponse(
            match=decision.accepts(similarity),
            score=messages.write_score(similarity, decision.curve),
            applied=messages.write_decision(decision),
            quality=[side.write_quality() or probe_pb2.Quality() for side in sides]
            if measured
            else (),
            model_fingerprint=self._bundle.manifest.fingerprint,
        )

    def _embedded(self, request: embedding_pb2.EmbedStreamRequest) -> embedding_pb2.Embedded:
        messages.read_tag(request.tag)
        return self._write(self._probes.embed(request.image, read_one_face(request.multi_face)))

    def _write(self, look: Look) -> embedding_pb2.Embedded:
        return embedding_pb2.Embedded(
            embedding=messages.write_embedding(look.vectors[0], self._bundle),
            box=look.box,
            quality=look.write_quality(),
        )


def _similarity(probe: Vectors, subject: Vectors, rule: Rule) -> float:
    """Of [m, D] looks of one with [n, D] of another: every look with every look, fused."""
    each = (probe @ subject.T).reshape(1, -1)
    fused = fuse(each, np.zeros(each.size, np.int64), rule)
    return float(np.clip(fused[0, 0], -1, 1))  # rounding may carry it just past 1
