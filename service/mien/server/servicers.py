"""The services. A method reads the request, calls the other rooms, and replies."""

import base64
import binascii
import hashlib

import grpc
import numpy as np

from mien import deadline
from mien.errors import InvalidArgument, InvalidRequest, ModelNotFound
from mien.gallery.galleries import Galleries
from mien.matching.calibration import fusion_of
from mien.matching.decision import TargetFMR, TargetFPIR, decide
from mien.matching.fusion import Rule, fuse
from mien.matching.metrics import Vectors
from mien.model.pipeline import Pipeline
from mien.server import messages
from mien.v1 import (
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

MAX_BATCH = 64
MAX_CANDIDATES, DEFAULT_CANDIDATES = 100, 5
MAX_PAGE, DEFAULT_PAGE = 1000, 100


class Probes:
    """Vectors of whatever a caller may compare or search for."""

    def __init__(self, pipeline: Pipeline, galleries: Galleries) -> None:
        self._pipeline = pipeline
        self._galleries = galleries

    def vectors(self, probe: probe_pb2.Probe) -> Vectors:
        """float32 [n, D]: one vector of a picture or an embedding, every one of a subject."""
        match probe.WhichOneof("source"):
            case "image":
                return self._pipeline.embed(probe.image.content)[None]
            case "embedding":
                return messages.read_embedding(probe.embedding, self._pipeline.bundle)[None]
            case "subject":
                fingerprint = self._pipeline.bundle.manifest.fingerprint
                return self._galleries.vectors(
                    probe.subject.gallery_id, probe.subject.subject_id, fingerprint
                )
        raise InvalidRequest("a probe is empty; give it an image, an embedding or a subject")

    def matched(self, *probes: probe_pb2.Probe) -> None:
        """Note of those that are enrolled that they were matched."""
        for probe in probes:
            if probe.WhichOneof("source") == "subject":
                named = probe.subject
                self._galleries.matched(named.gallery_id, [named.subject_id])


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    def __init__(self, pipeline: Pipeline, probes: Probes, default: TargetFMR) -> None:
        self._pipeline = pipeline
        self._probes = probes
        self._default = default

    def Embed(
        self, request: embedding_pb2.EmbedRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.EmbedResponse:
        if not 1 <= len(request.images) <= MAX_BATCH:
            raise InvalidRequest(f"{len(request.images)} images; a call takes 1 to {MAX_BATCH}")
        outcomes = self._pipeline.embed_each([image.content for image in request.images])
        bundle = self._pipeline.bundle
        response = embedding_pb2.EmbedResponse(model_fingerprint=bundle.manifest.fingerprint)
        for index, outcome in enumerate(outcomes):
            item = response.items.add(index=index)
            if isinstance(outcome, InvalidArgument):
                item.rejected.CopyFrom(messages.write_rejection(outcome))
            else:
                item.ok.embedding.CopyFrom(messages.write_embedding(outcome, bundle))
        return response

    def Verify(
        self, request: embedding_pb2.VerifyRequest, context: grpc.ServicerContext
    ) -> embedding_pb2.VerifyResponse:
        bundle = self._pipeline.bundle
        policy = messages.read_policy(request.decision, self._default)
        if isinstance(policy, TargetFPIR):
            raise InvalidRequest("target_fpir is for Identify; Verify takes target_fmr")
        probe, subject = sorted(map(self._probes.vectors, (request.a, request.b)), key=len)
        decision = decide(
            policy, bundle.calibration, samples_per_subject=len(subject), probes=len(probe)
        )
        similarity = _similarity(probe, subject, fusion_of(bundle.calibration))
        match = decision.accepts(similarity)
        if match:
            self._probes.matched(request.a, request.b)
        return embedding_pb2.VerifyResponse(
            match=match,
            score=messages.write_score(similarity, decision.curve),
            applied=messages.write_decision(decision),
            model_fingerprint=bundle.manifest.fingerprint,
        )


class MatchServicer(match_pb2_grpc.MatchServiceServicer):
    def __init__(
        self, pipeline: Pipeline, probes: Probes, galleries: Galleries, default: TargetFPIR
    ) -> None:
        self._bundle = pipeline.bundle
        self._probes = probes
        self._galleries = galleries
        self._default = default

    def Identify(
        self, request: match_pb2.IdentifyRequest, context: grpc.ServicerContext
    ) -> match_pb2.IdentifyResponse:
        limit = messages.page_size(request.max_candidates, DEFAULT_CANDIDATES, MAX_CANDIDATES)
        policy = messages.read_policy(request.decision, self._default)
        fingerprint = self._bundle.manifest.fingerprint
        vectors = self._probes.vectors(request.probe)
        calibration = self._bundle.calibration
        deadline.check("search")
        found = self._galleries.search(
            request.gallery_id, vectors, fingerprint, limit, fusion_of(calibration)
        )
        decision = decide(
            policy, calibration, found.subjects, found.samples_per_subject, len(vectors)
        )
        candidates = messages.write_candidates(found.matches, decision)
        accepted = [each.subject_id for each in candidates if each.accepted]
        if accepted:
            self._galleries.matched(request.gallery_id, accepted)
        return match_pb2.IdentifyResponse(
            faces=[
                match_pb2.IdentifyResponse.Face(
                    candidates=candidates, identified=any(c.accepted for c in candidates)
                )
            ],
            applied=messages.write_decision(decision),
            gallery_revision=found.revision,
            model_fingerprint=fingerprint,
        )


class GalleryServicer(gallery_pb2_grpc.GalleryServiceServicer):
    def __init__(self, pipeline: Pipeline, galleries: Galleries) -> None:
        self._pipeline = pipeline
        self._manifest = pipeline.bundle.manifest
        self._galleries = galleries

    def CreateGallery(
        self, request: gallery_pb2.CreateGalleryRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.Gallery:
        info = self._galleries.create(
            request.gallery_id, self._manifest.fingerprint, self._manifest.input.dim
        )
        return messages.write_gallery(info)

    def GetGallery(
        self, request: gallery_pb2.GetGalleryRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.Gallery:
        return messages.write_gallery(self._galleries.get(request.gallery_id))

    def ListGalleries(
        self, request: gallery_pb2.ListGalleriesRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.ListGalleriesResponse:
        size = messages.page_size(request.page_size, DEFAULT_PAGE, MAX_PAGE)
        infos = self._galleries.page(after=_read_token(request.page_token), limit=size + 1)
        response = gallery_pb2.ListGalleriesResponse(
            galleries=map(messages.write_gallery, infos[:size])
        )
        if len(infos) > size:
            response.next_page_token = _write_token(infos[size - 1].gallery_id)
        return response

    def DeleteGallery(
        self, request: gallery_pb2.DeleteGalleryRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.DeleteReceipt:
        return messages.write_receipt(self._galleries.delete(request.gallery_id))

    def EnrollSample(
        self, request: gallery_pb2.EnrollSampleRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.EnrollSampleResponse:
        vector, content = self._source(request)
        enrolled = self._galleries.enroll(
            request.gallery_id,
            request.subject_id,
            vector,
            self._manifest.fingerprint,
            hashlib.sha256(content).hexdigest(),
        )
        return gallery_pb2.EnrollSampleResponse(
            sample=messages.write_sample(enrolled.sample),
            already_existed=enrolled.already_existed,
            revision=enrolled.revision,
        )

    def DeleteSubject(
        self, request: gallery_pb2.DeleteSubjectRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.DeleteReceipt:
        return messages.write_receipt(
            self._galleries.delete_subject(request.gallery_id, request.subject_id)
        )

    def _source(self, request: gallery_pb2.EnrollSampleRequest) -> tuple[Vectors, bytes]:
        match request.WhichOneof("source"):
            case "image":
                return self._pipeline.embed(request.image.content), request.image.content
            case "embedding":
                vector = messages.read_embedding(request.embedding, self._pipeline.bundle)
                return vector, request.embedding.f32le
        raise InvalidRequest("the sample is empty; give it an image or an embedding")


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, pipeline: Pipeline) -> None:
        self._bundle = pipeline.bundle

    def GetModel(
        self, request: model_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> model_pb2.Model:
        name = self._bundle.manifest.name
        if request.model_id not in ("", name):
            raise ModelNotFound(f"no model {request.model_id!r} is served; {name!r} is")
        return messages.write_model(self._bundle)


def _similarity(probe: Vectors, subject: Vectors, rule: Rule) -> float:
    """Of [m, D] looks of one with [n, D] of another: every look with every look, fused."""
    each = (probe @ subject.T).reshape(1, -1)
    fused = fuse(each, np.zeros(each.size, np.int64), rule)
    return float(np.clip(fused[0, 0], -1, 1))  # rounding may carry it just past 1


def _write_token(last_id: str) -> str:
    return base64.urlsafe_b64encode(last_id.encode()).decode()


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidRequest(
            f"{token!r} is no page token; send one that a page came with"
        ) from None
