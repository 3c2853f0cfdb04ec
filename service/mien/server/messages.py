"""Between the messages of the wire contract and the words of the other rooms."""

from collections.abc import Mapping, Sequence

import numpy as np

from mien.errors import FaceRefused, InvalidEmbedding, InvalidRequest, MienError, ModelMismatch
from mien.gallery.embedding import check_vector, check_vectors
from mien.gallery.records import Match
from mien.matching.calibration import Calibration, fusion_of
from mien.matching.curve import Curve, CurvePoint
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
    match_pb2,
    model_pb2,
    probe_pb2,
    reason_pb2,
)

MAX_TAG = 128
"""Bytes of what a caller calls an item of a stream."""


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
    _check_form(message, bundle)
    vector = np.frombuffer(message.f32le, dtype="<f4").astype(np.float32)
    check_vector(vector, bundle.manifest.input.dim)
    return vector


def read_embeddings(
    sent: Sequence[probe_pb2.Embedding], bundle: Bundle
) -> list[Vectors | MienError]:
    """Each as `read_embedding`, or what is wrong with it; sound ones are looked at together."""
    dim = bundle.manifest.input.dim
    try:
        for each in sent:
            _check_form(each, bundle)
        joined = np.frombuffer(b"".join(each.f32le for each in sent), dtype="<f4")
        vectors = joined.astype(np.float32).reshape(-1, dim)
        if len(vectors):
            check_vectors(vectors, dim)
        return list(vectors)
    except MienError as error:
        if len(sent) == 1:
            return [error]
    return [outcome for each in sent for outcome in read_embeddings([each], bundle)]


def _check_form(message: probe_pb2.Embedding, bundle: Bundle) -> None:
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


def write_embedding(vector: Vectors, bundle: Bundle) -> probe_pb2.Embedding:
    return probe_pb2.Embedding(
        model_fingerprint=bundle.manifest.fingerprint,
        f32le=vector.astype("<f4").tobytes(),
        dim=len(vector),
    )


def write_rejection(error: MienError) -> embedding_pb2.Rejection:
    reasons = error.reasons if isinstance(error, FaceRefused) else (error.reason,)
    return embedding_pb2.Rejection(
        reasons=(reason_pb2.Reason.Value(f"REASON_{reason}") for reason in reasons),
        message=str(error),
    )


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


def write_candidates(
    matches: Sequence[Match], decision: Decision, labels: Mapping[str, Mapping[str, str]]
) -> list[match_pb2.Candidate]:
    """Subjects, best first; `labels` are by subject."""
    return [
        match_pb2.Candidate(
            rank=rank,
            subject_id=match.subject_id,
            sample_id=match.sample_id,
            score=write_score(match.similarity, decision.curve),
            accepted=decision.accepts(match.similarity),
            labels=labels.get(match.subject_id, {}),
        )
        for rank, match in enumerate(matches, start=1)
    ]


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


def write_calibration(calibration: Calibration, samples: int) -> model_pb2.Calibration:
    """The curve that does not understate the FMR of subjects of so many samples."""
    curve = calibration.curve_for(samples)
    supported = [p for p in curve.points if p.fmr >= curve.smallest_supported_fmr]
    return model_pb2.Calibration(
        calibration_id=calibration.calibration_id,
        model_fingerprint=calibration.model_fingerprint,
        genuine_comparisons=curve.genuine_comparisons,
        impostor_comparisons=curve.impostor_comparisons,
        identities=curve.identities,
        points=map(_write_point, supported or curve.points[-1:]),
        dataset_digest=calibration.dataset_digest,
        smallest_supported_fmr=curve.smallest_supported_fmr,
        samples_per_subject=curve.samples,
        fusion=calibration.fusion,
    )


def read_tag(tag: str) -> str:
    """Raises InvalidRequest."""
    if len(tag.encode()) > MAX_TAG:
        raise InvalidRequest(f"the tag has {len(tag.encode())} bytes; use at most {MAX_TAG}")
    return tag


def _write_point(point: CurvePoint) -> model_pb2.OperatingPoint:
    return model_pb2.OperatingPoint(
        fmr=point.fmr,
        threshold=point.threshold,
        fnmr=point.fnmr,
        fmr_lower95=point.fmr_lower95,
        fmr_upper95=point.fmr_upper95,
        fnmr_lower95=point.fnmr_lower95,
        fnmr_upper95=point.fnmr_upper95,
    )
