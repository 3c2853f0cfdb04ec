"""What the demo found, as a table, as JSON and as a page."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.measure import Change, Identification, Pair, Verification, strict_fnmr
from mien.dataset import read
from mien.matching.metrics import Comparisons
from mien.matching.paired import Difference
from mien.report import charts
from mien.report.page import data_uri, percent, render

SHOWN_PAIRS = 5


@dataclass(frozen=True)
class Findings:
    """Everything that was measured."""

    train_people: int
    held_out_people: int
    test_people: int
    verification: Verification
    identification: Identification
    tuned: Change | None
    """The built-in bundle as it comes, and as it learned from people of training; None: there was
    none."""
    tuned_held_out: Change | None
    """The same on the people of training who were held out of that."""
    triplet: Comparisons
    pixels: Comparisons
    eigenfaces: Comparisons
    rpcs: int
    max_difference: float
    seconds: Mapping[str, float]

    @property
    def beats_baselines(self) -> bool:
        learned = self.verification.comparisons.eer()
        return learned < min(self.pixels.eer(), self.eigenfaces.eer())

    @property
    def methods(self) -> dict[str, Comparisons]:
        return {
            "softmax + center loss": self.verification.comparisons,
            "triplet loss": self.triplet,
            **({"mien-s, as it comes": self.tuned.before} if self.tuned else {}),
            **({"mien-s, fine-tuned": self.tuned.after} if self.tuned else {}),
            "eigenfaces": self.eigenfaces,
            "pixels": self.pixels,
        }


def summary(found: Findings) -> dict[str, Any]:
    """`summary.json`. Rates are shares in [0, 1], times are seconds."""
    compared = found.verification.comparisons
    verified, identified = found.verification.applied, found.identification.applied
    return {
        "train_people": found.train_people,
        "calibration_people": found.held_out_people,
        "test_people": found.test_people,
        "verification": {
            "genuine": len(compared.genuine),
            "impostor": len(compared.impostor),
            "eer": compared.eer(),
            "fnmr_at_fmr_1e-2": strict_fnmr(compared),
            "target_fmr": found.verification.asked,
            "threshold": verified.threshold,
            "expected_fmr": verified.fmr,
            "expected_fmr_lower95": verified.fmr_lower95,
            "expected_fmr_upper95": verified.fmr_upper95,
            "fmr": compared.fmr(verified.threshold),
            "expected_fnmr": verified.fnmr,
            "expected_fnmr_lower95": verified.fnmr_lower95,
            "expected_fnmr_upper95": verified.fnmr_upper95,
            "fnmr": compared.fnmr(verified.threshold),
        },
        "identification": {
            "searches": found.identification.searches,
            "rank1": found.identification.rank1,
            "target_fpir": found.identification.asked,
            "threshold": identified.threshold,
            "samples_per_subject": identified.samples_per_subject,
            "expected_fpir": identified.fpir_at_n,
            "expected_fpir_lower95": identified.fpir_lower95,
            "expected_fpir_upper95": identified.fpir_upper95,
            "fpir": found.identification.fpir,
            "fnir": found.identification.fnir,
        },
        "triplet": {"eer": found.triplet.eer()},
        "mien-s": _changed(found.tuned),
        "mien-s, people held out": _changed(found.tuned_held_out),
        "baselines": {
            "pixels": {"eer": found.pixels.eer()},
            "eigenfaces": {"eer": found.eigenfaces.eer()},
        },
        "export_max_difference": found.max_difference,
        "rpcs": found.rpcs,
        "seconds": {stage: round(value, 2) for stage, value in found.seconds.items()},
    }


def _changed(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {
        "people": change.people,
        "before": _rates(change.before),
        "after": _rates(change.after),
        "eer_change_interval95": [change.eer.interval.low, change.eer.interval.high],
        "fnmr_change_interval95": [
            change.strict_fnmr.interval.low,
            change.strict_fnmr.interval.high,
        ],
    }


def _rates(compared: Comparisons) -> dict[str, float]:
    return {"eer": compared.eer(), "fnmr_at_fmr_1e-2": strict_fnmr(compared)}


def table(found: Findings) -> str:
    """The closing table of the terminal."""
    known = summary(found)
    verification, identification = known["verification"], known["identification"]
    rows = [
        ("equal error rate, people never seen", ""),
        *((f"  {name}", percent(method.eer())) for name, method in found.methods.items()),
        ("FNMR at FMR 1 %, of the same pairs", ""),
        *((f"  {name}", percent(strict_fnmr(method))) for name, method in found.methods.items()),
        *_changes(found),
        ("verification (1:1)", ""),
        ("  FMR asked for", percent(verification["target_fmr"])),
        ("    expected by the calibration", percent(verification["expected_fmr"])),
        ("    and at most (95 %)", percent(verification["expected_fmr_upper95"])),
        ("  FMR measured", percent(verification["fmr"])),
        ("  FNMR measured", percent(verification["fnmr"])),
        ("identification (1:N)", ""),
        ("  right person first (rank 1)", percent(identification["rank1"])),
        ("  FPIR asked for", percent(identification["target_fpir"])),
        ("    expected by the calibration", percent(identification["expected_fpir"])),
        ("    and at most (95 %)", percent(identification["expected_fpir_upper95"])),
        ("  FPIR measured on strangers", percent(identification["fpir"])),
        ("  FNIR at the same threshold", percent(identification["fnir"])),
        ("calls over gRPC", f"{found.rpcs:,}"),
        *((f"seconds to {stage}", f"{value:.1f}") for stage, value in found.seconds.items()),
    ]
    return "\n".join(f"  {name:<40}{value:>10}" for name, value in rows)


def _changes(found: Findings) -> Iterator[tuple[str, str]]:
    """What fine-tuning changed, in points, with the interval over people."""
    for who, change in (("test", found.tuned), ("held-out", found.tuned_held_out)):
        if change:
            yield f"fine-tuning, {who} people, in points", ""
            yield "  equal error rate", points(change.eer)
            yield "  FNMR at FMR 1 %", points(change.strict_fnmr)


def points(changed: Difference) -> str:
    """A difference of rates in points, with its interval of 95 %."""
    ends = changed.interval
    return f"{100 * changed.value:+.1f} ({100 * ends.low:+.1f} to {100 * ends.high:+.1f})"


def page(found: Findings) -> str:
    """`report.html`."""
    verification = found.verification
    return render(
        Path(__file__).with_name("report.html"),
        title="mien: ten people it had never seen",
        found=found,
        summary=summary(found),
        histogram=charts.histogram(verification.comparisons, verification.applied.threshold),
        det=charts.det(found.methods),
        bars=_eer_bars(found),
        rates=[(name, method.eer(), strict_fnmr(method)) for name, method in found.methods.items()],
        timings=charts.seconds(found.seconds),
        points=points,
        groups=_examples(verification),
    )


def write(found: Findings, out: Path) -> None:
    (out / "summary.json").write_text(json.dumps(summary(found), indent=2) + "\n")
    (out / "report.html").write_text(page(found))
    (out / "eer.svg").write_text(_eer_bars(found))


def _eer_bars(found: Findings) -> str:
    rates = [method.eer() for method in found.methods.values()]
    return charts.bars(list(found.methods), rates, "equal error rate on people never seen")


def _examples(verification: Verification) -> list[dict[str, Any]]:
    """The most telling pairs of each outcome: the least alike genuine ones, and so on."""
    threshold = verification.applied.threshold
    ranked = sorted(verification.pairs, key=lambda pair: pair.similarity)
    genuine = [pair for pair in ranked if pair.genuine]
    impostor = [pair for pair in reversed(ranked) if not pair.genuine]
    chosen = [
        (
            "Same person, recognised: the hardest",
            False,
            [p for p in genuine if p.similarity >= threshold],
        ),
        (
            "Different people, told apart: the hardest",
            False,
            [p for p in impostor if p.similarity < threshold],
        ),
        (
            "Same person, missed (false non-match)",
            True,
            [p for p in genuine if p.similarity < threshold],
        ),
        (
            "Different people, confused (false match)",
            True,
            [p for p in impostor if p.similarity >= threshold],
        ),
    ]
    return [
        {"heading": heading, "wrong": wrong, "count": len(pairs), "pairs": _shown(pairs)}
        for heading, wrong, pairs in chosen
    ]


def _shown(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """At most SHOWN_PAIRS, no two of the same two people."""
    distinct: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        distinct.setdefault((pair.probe.person, pair.reference.person), pair)
    return [
        {
            "images": [data_uri(read(p.path)) for p in (pair.probe, pair.reference)],
            "similarity": pair.similarity,
        }
        for pair in list(distinct.values())[:SHOWN_PAIRS]
    ]
