"""docs/evaluation.md names every key of a real report, every option, and nothing else."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.cli.evaluate import evaluate
from mien.model.bundle import Bundle
from tests.bundles import calibrated, in_int8
from tests.evaluation import made
from tests.faces import folder_of_people

DOCUMENT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")

AS_ANOTHER = {
    "against.bundle",
    "against.acquisition",
    "against.verification",
    "against.lfw",
    "groups.fnmr_ratio",
    "folders[].acquisition",
    "acquisition.reasons",  # its keys are the reasons
}


def keys(value: Any, path: str = "") -> set[str]:
    """Dotted paths of all leaves; a list of sections is `path[]`, another list a leaf."""
    if isinstance(value, dict) and path not in AS_ANOTHER:
        return {k for key, inner in value.items() for k in keys(inner, f"{path}.{key}".strip("."))}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set[str]().union(*(keys(inner, f"{path}[]") for inner in value))
    return {path}


@pytest.fixture(scope="module")
def reports(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("documented")
    people = folder_of_people(folder / "people", people=8, shots=4)
    (people / "person-1" / "0.png").write_bytes(b"rubbish")
    enrolled = folder_of_people(folder / "enrolled", people=4, shots=2)
    rows = [f"person-{p},{'north' if p % 2 else 'south'}" for p in range(8)]
    (folder / "groups.csv").write_text("person,group\n" + "\n".join(rows))
    images = made.lfw_folder(folder / "images", people=6, shots=3)
    random = np.random.default_rng(0)
    lines = [line for _ in range(2) for line in made.pair_lines(6, 3, 8, random)]
    (folder / "pairs.txt").write_text("2\t8\n" + "\n".join(lines))
    other = calibrated(folder / "other", seed=1, people=6).folder
    int8 = in_int8(folder / "int8").folder
    return [
        made.evaluated(bundle.folder, people, "--groups", folder / "groups.csv",
                       "--threshold", "0.3", "--against", other),
        made.evaluated(bundle.folder, images, "--pairs", folder / "pairs.txt", "--against", other),
        made.evaluated(int8, people),
        made.evaluated(bundle.folder, enrolled, "--probes", people),
    ]  # fmt: skip


def documented() -> list[str]:
    return re.findall(r"^\| `([a-z0-9_.\[\]]+)` \|", DOCUMENT.partition("## report.json")[2], re.M)


def test_every_key_is_documented_once_and_none_that_is_not_there(
    reports: list[dict[str, Any]],
) -> None:
    named = documented()
    assert len(named) == len(set(named))
    sections = {key for key in named if any(other.startswith(f"{key}.") for other in named)}
    nullable = {"deployed", "lfw", "identification", "groups", "against", "acquisition",
                "groups.fmr_ratio", "likelihood"}  # fmt: skip
    assert sections == nullable
    real = set[str]().union(*(keys(report) for report in reports))
    lists = {"folders"}  # null in one report, and not in another
    assert real - nullable - lists == set(named) - nullable - lists


def test_accuracy_is_compared_on_pairs(reports: list[dict[str, Any]]) -> None:
    measures = [row["measure"] for row in reports[1]["against"]["differences"]]
    assert measures == ["EER", "accuracy"]  # 6 people support no FMR of 10 %
    for measure in measures:
        assert f"`{measure}`" in DOCUMENT


def test_every_option_is_documented() -> None:
    for parameter in evaluate.params:
        option = parameter.opts[0]
        assert (option if option.startswith("--") else option.upper()) in DOCUMENT
