"""Error rates and thresholds on the command line."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mien.matching.decision import RawThreshold, TargetFMR, TargetFPIR
    from mien.v1.decision_pb2 import AppliedDecision


def verify_policy(fmr: float | None, threshold: float | None) -> "TargetFMR | RawThreshold | None":
    """What --target-fmr and --threshold ask for; None leaves it to the server."""
    from mien.matching.decision import RawThreshold, TargetFMR

    _at_most_one(fmr, threshold, "--target-fmr")
    if threshold is not None:
        return RawThreshold(threshold)
    return None if fmr is None else TargetFMR(fmr)


def identify_policy(
    fpir: float | None, threshold: float | None
) -> "TargetFPIR | RawThreshold | None":
    """What --target-fpir and --threshold ask for; None leaves it to the server."""
    from mien.matching.decision import RawThreshold, TargetFPIR

    _at_most_one(fpir, threshold, "--target-fpir")
    if threshold is not None:
        return RawThreshold(threshold)
    return None if fpir is None else TargetFPIR(fpir)


def describe(applied: "AppliedDecision") -> str:
    """One clause: the threshold and the error rate that it stands for."""
    clause = f"threshold {applied.threshold:.4f}"
    if not applied.HasField("fmr"):
        return f"{clause} (not calibrated)"
    of_many = (
        f"; in {applied.n} comparisons {applied.fpir_at_n:.2g}, at most {applied.fpir_upper95:.2g}"
        if applied.n > 1
        else ""
    )
    return (
        f"{clause} (FMR {applied.fmr:.2g}, at most {applied.fmr_upper95:.2g} with 95 % "
        f"confidence{of_many})"
    )


def as_json(message: "Message") -> str:
    """The message on one line, its fields named as in the contract."""
    from google.protobuf.json_format import MessageToJson

    return MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
    )


def _at_most_one(rate: float | None, threshold: float | None, option: str) -> None:
    if rate is not None and threshold is not None:
        raise click.UsageError(f"{option} and --threshold exclude each other")
