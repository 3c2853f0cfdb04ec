"""Between the messages of the wire contract and the words of the other rooms."""

from datetime import datetime

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from mien.errors import InvalidEmbedding, InvalidRequest, MienError, ModelMismatch
from mien.gallery.embedding import check_vector
from mien.gallery.records import Deletion, GalleryInfo, Match, Sample
from mien.matching.calibration import fusion_of
from mien.matching.curve import Curve
from mien.matching.decision import (
    Decision,
    Policy,
    RawThreshold,
    TargetFMR,
    TargetFPIR,
    best_of,
)
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.v1 import (
    decision_pb2,
    embedding_pb2,
    gallery_pb2,
    match_pb2,
    model_pb2,
    probe_pb2,
    reason_pb2,
)


def read_policy(message: decision_pb2.DecisionPolicy, default: Policy) -> Policy:
    """The policy that was asked for, or the default if none was."""
    match message.WhichOneof("policy"):
        case "target_fmr":
            return TargetFMR(message.target_fmr)
        case "target_fpir":
            return TargetFPIR(message.target_fpir)
        case "raw_threshold":
            return RawThreshold(message.raw_threshold)
    return default


def read_embedding(message: probe_pb2.Embedding, bundle: Bundle) -> Vectors:
    """A float32 [D] unit vector. Raises ModelMismatch and InvalidEmbedding."""
    served, dim = bundle.manifest.fingerprint, bundle.manifest.input.dim
    if message.model_fingerprint != served:
        raise ModelMismatch(
            f"the embedding is of model {message.model_fingerprint[:12]!r}, and {served[:12]!r} is "
            "served; embed the picture again"
        )
    if message.dim != dim or len(message.f32le) != 4 * dim:
        raise InvalidEmbedding(
            f"the embedding has dim {message.dim} and {len(message.f32le)} bytes; "
            f"the model's have dim {dim} and {4 * dim} bytes"
        )
    vector = np.frombuffer(message.f32le, dtype="<f4").astype(np.float32)
    check_vector(vector, dim)
    return vector


def write_embedding(vector: Vectors, bundle: Bundle) -> probe_pb2.Embedding:
    return probe_pb2.Embedding(
        model_fingerprint=bundle.manifest.fingerprint,
        f32le=vector.astype("<f4").tobytes(),
        dim=len(vector),
    )


def write_rejection(error: MienError) -> embedding_pb2.Rejection:
    reason = reason_pb2.Reason.Value(f"REASON_{error.reason}")
    return embedding_pb2.Rejection(reasons=[reason], message=str(error))


def write_score(similarity: float, curve: Curve | None) -> decision_pb2.Score:
    if curve is None:
        return decision_pb2.Score(similarity=similarity)
    measured = curve.at_threshold(similarity)
    return decision_pb2.Score(
        similarity=similarity,
        expected_fmr=measured.fmr,
        expected_fnmr=curve.fnmr_at(similarity),
        log10_lr=measured.log10_lr,
    )


def write_decision(decision: Decision) -> decision_pb2.AppliedDecision:
    message = decision_pb2.AppliedDecision(threshold=decision.threshold, n=decision.chances)
    calibration, curve, measured = decision.calibration, decision.curve, decision.measured
    if calibration is None or curve is None or measured is None:
        return message
    for name in ("fmr", "fmr_lower95", "fmr_upper95", "fnmr", "fnmr_lower95", "fnmr_upper95"):
        setattr(message, name, getattr(measured, name))
    message.fpir_at_n = best_of(measured.fmr, decision.chances)
    message.fpir_lower95 = best_of(measured.fmr_lower95, decision.chances)
    message.fpir_upper95 = best_of(measured.fmr_upper95, decision.chances)
    message.samples_per_subject = curve.samples
    message.calibration_id = calibration.calibration_id
    message.impostor_comparisons = curve.impostor_comparisons
    message.identities = curve.identities
    return message


def write_candidates(matches: tuple[Match, ...], decision: Decision) -> list[match_pb2.Candidate]:
    return [
        match_pb2.Candidate(
            rank=rank,
            subject_id=match.subject_id,
            sample_id=match.sample_id,
            score=write_score(match.similarity, decision.curve),
            accepted=decision.accepts(match.similarity),
        )
        for rank, match in enumerate(matches, start=1)
    ]


def write_gallery(info: GalleryInfo) -> gallery_pb2.Gallery:
    return gallery_pb2.Gallery(
        gallery_id=info.gallery_id,
        model_fingerprint=info.model_fingerprint,
        dim=info.dim,
        subjects=info.subjects,
        samples=info.samples,
        revision=info.revision,
        create_time=_timestamp(info.created),
    )


def write_sample(sample: Sample) -> gallery_pb2.Sample:
    return gallery_pb2.Sample(
        sample_id=sample.sample_id,
        content_sha256=sample.content_sha256,
        create_time=_timestamp(sample.created),
    )


def write_receipt(deletion: Deletion) -> gallery_pb2.DeleteReceipt:
    return gallery_pb2.DeleteReceipt(samples_deleted=deletion.samples, revision=deletion.revision)


def write_model(bundle: Bundle) -> model_pb2.Model:
    manifest, calibration = bundle.manifest, bundle.calibration
    return model_pb2.Model(
        model_id=manifest.name,
        fingerprint=manifest.fingerprint,
        dim=manifest.input.dim,
        license=manifest.license,
        crop_height=manifest.input.crop_height,
        crop_width=manifest.input.crop_width,
        alignment=manifest.input.alignment,
        calibrated=calibration is not None,
        smallest_supported_fmr=calibration.smallest_supported_fmr if calibration else None,
        calibration_identities=calibration.identities if calibration else None,
        fusion=fusion_of(calibration),
    )


def page_size(asked: int, default: int, largest: int) -> int:
    """How many to send; 0 means the default. Raises InvalidRequest above the largest."""
    if asked > largest:
        raise InvalidRequest(f"{asked} is more than {largest} at once; ask for less")
    return asked or default


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
