"""The figures as tables of Markdown: for docs/models.md, and for a bundle's model card."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]

MEASURES = {
    "eye_distance_px": "eyes apart, pixels",
    "sharpness": "sharpness",
    "brightness": "brightness",
    "yaw": "turned away, eye distances",
}


def tables(found: Figures) -> str:
    """All of them, each under a line that says what it is."""
    return "\n\n".join(
        [
            *_headline(found),
            *_asked(found["lfw_view1"]),
            *_verification("The people held out of learning, aligned crops", found["held_out"]),
            *_verification("Other people, whole photographs", found["photos"]),
            *_open_set(found),
            *_groups("LFW View 1, at the threshold of its accuracy", found["lfw_view1"]["groups"]),
            *_groups("Whole photographs, at the deployed threshold", found["photos"]["groups"]),
        ]
    )


def share(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def rate(value: float, ends: Sequence[float], digits: int = 1) -> str:
    """A rate and its interval."""
    low, high = ends
    return f"{100 * value:.{digits}f} % ({100 * low:.{digits}f} to {100 * high:.{digits}f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _headline(found: Figures) -> Iterator[str]:
    bundle, speed = found["bundle"], found["speed"]
    whole, middle, centre = (found[f"lfw_view1{way}"] for way in ("", "_middle", "_centre"))
    height, width = bundle["crop"]
    mirrored = "with" if bundle["mirror_image"] else "without"
    yield _table(
        ["what", "figure"],
        [
            ["fingerprint", f"`{bundle['fingerprint'][:12]}`"],
            [
                "crop, vector",
                f"{height}×{width}, {bundle['dimension']} numbers, {mirrored} mirror image",
            ],
            ["size", f"{bundle['bytes'] / 1e6:.2f} MB"],
            ["LFW View 1, whole pipeline, the largest face", _accuracy(whole)],
            ["LFW View 1, whole pipeline, the face in the middle", _accuracy(middle)],
            ["LFW View 1, the middle of each picture, no detector", _accuracy(centre)],
            [
                "LFW View 1, equal error rate, the largest face",
                rate(whole["eer"], whole["eer_interval95"]),
            ],
            ["threshold, from the people held out", f"{whole['thresholds'][0]:.4f}"],
            [
                f"crops a second, {speed['threads']} threads, batches of {speed['best_batch']}",
                f"{speed['best_crops_a_second']:.0f}",
            ],
            ["one crop", f"{speed['one_crop_ms']:.1f} ms"],
        ],
    )


def _accuracy(lfw: Figures) -> str:
    told, right = rate(lfw["accuracy"], lfw["accuracy_interval95"]), lfw["accuracy"] * lfw["pairs"]
    if not lfw["left_out_pairs"]:
        return f"{told} of {lfw['pairs']:,} pairs"
    left_out = lfw["left_out_pairs"]
    everything = right / (lfw["pairs"] + left_out)
    return (
        f"{told} of {lfw['pairs']:,} pairs; {share(everything)} if the {left_out} that have a "
        "picture without a usable face count as wrong"
    )


def _asked(lfw: Figures) -> Iterator[str]:
    yield (
        "LFW View 1, the largest face, at the threshold that a caller gets who asks for an FMR: "
        "that of the people held out of learning."
    )
    yield _table(
        ["FMR asked for", "threshold", "accuracy", "FMR", "FNMR"],
        [
            [
                share(point["target_fmr"], 0),
                f"{point['threshold']:.3f}",
                *(share(point[name]) for name in ("accuracy", "fmr", "fnmr")),
            ]
            for point in lfw["at_calibrated_fmr"]
        ],
    )


def _verification(what: str, found: Figures) -> Iterator[str]:
    yield (
        f"{what}: {found['people']} people, {found['pictures']:,} pictures, "
        f"{found['failures_to_acquire']} without a usable face. Equal error rate "
        f"{rate(found['eer'], found['eer_interval95'])}; so many people support an FMR of "
        f"{found['smallest_supported_fmr']:.2g} and above."
    )
    yield _table(
        ["FMR", "FNMR"],
        [
            [
                f"{share(point['fmr'], 2)}{'' if point['supported'] else ', not supported'}",
                rate(point["fnmr"], point["fnmr_interval95"]),
            ]
            for point in found["det"]
        ],
    )
    deployed = found["deployed"]
    yield (
        f"At the calibrated threshold for an FMR of {deployed['target_fmr']:g}: FMR "
        f"{rate(deployed['fmr'], deployed['fmr_interval95'], 3)}, FNMR "
        f"{rate(deployed['fnmr'], deployed['fnmr_interval95'])}."
    )


def _open_set(found: Figures) -> Iterator[str]:
    yield "Searches of everybody (1:N). A stranger's search is of the N - 1 others."
    yield _table(
        ["gallery", "first is right", "FPIR asked for", "FPIR", "FNIR"],
        [
            [name if not row else "", first if not row else "", *_searched(point)]
            for name, part in (("photographs", "open_set_photos"), ("crops", "open_set_held_out"))
            for row, (name, first, point) in enumerate(_points(name, found[part]))
        ],
    )


def _points(what: str, part: Figures) -> Iterator[tuple[str, str, Figures]]:
    name = f"{what}: {part['people']} people, {part['samples_each']} pictures each"
    first = rate(part["rank1"], part["rank1_interval95"])
    for point in part["points"]:
        yield name, first, point


def _searched(point: Figures) -> list[str]:
    asked = share(point["target_fpir"], 0)
    if not point["supported"]:
        return [asked, "not supported by the people held out", ""]
    return [
        asked,
        rate(point["fpir"], point["fpir_interval95"]),
        rate(point["fnir"], point["fnir_interval95"]),
    ]


def _measure(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}"


def _groups(what: str, found: Figures) -> Iterator[str]:
    yield (
        f"{what}, by the worse of two pictures (thirds of the comparisons of one person, the best "
        "first):"
    )
    yield _table(
        ["measure", "from … to", "FNMR", "FMR"],
        [
            [
                MEASURES[name] if not number else "",
                f"{_measure(third['from'])} … {_measure(third['to'])}",
                rate(third["fnmr"], third["fnmr_interval95"]),
                rate(third["fmr"], third["fmr_interval95"], 2),
            ]
            for name, thirds in found.items()
            for number, third in enumerate(thirds)
        ],
    )
