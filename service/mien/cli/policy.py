"""Error rates and thresholds on the command line."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mien.matching.decision import RawThreshold
    from mien.v1.decision_pb2 import AppliedDecision


Target = TypeVar("Target")


def policy(
    kind: Callable[[float], Target], rate: float | None, threshold: float | None, option: str
) -> "Target | RawThreshold | None":
    """What a rate of this kind, by `option`, or --threshold asks for; None: the server decides."""
    from mien.matching.decision import RawThreshold

    if rate is not None and threshold is not None:
        raise click.UsageError(f"{option} and --threshold exclude each other")
    if threshold is not None:
        return RawThreshold(threshold)
    return None if rate is None else kind(rate)


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
        f"confidence{of_many}; measured on {applied.identities} people)"
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
