"""docs/lab.md is what the committed results say."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from mien.errors import OutputExists
from mien_training.lab import document, experiments, running
from mien_training.lab.experiment import Trial
from mien_training.lab.experiments import LISTED
from mien_training.lab.record import Record
from tests.training.lab import made_up

DOCS = Path(__file__).parents[3] / "docs"
RESULTS = sorted((DOCS / "lab").glob("*/result.json"))
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
LARGEST = 1_500_000
"""Bytes of everything in docs/lab."""


def test_the_page_is_made_of_the_results() -> None:
    assert (DOCS / "lab.md").read_text() == document.page(DOCS / "lab"), "run make docs"


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_every_number_of_a_finding_is_in_its_result(path: Path) -> None:
    record = Record.read(path.read_bytes())
    known = set(numbers_of(json.loads(path.read_text()) | {"finding": None}))
    for said in NUMBER.findall(record.finding.sentence):
        value = float(said.replace(",", ""))
        decimals = len(said.partition(".")[2])
        assert any(round(abs(each), decimals) == value for each in known), said


def numbers_of(value: object) -> Iterator[float]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from numbers_of(key)
                yield from numbers_of(inner)
        case list():
            for inner in value:
                yield from numbers_of(inner)
        case str():
            yield from (float(found.replace(",", "")) for found in NUMBER.findall(value))
        case bool() | None:
            return
        case int() | float():
            yield float(value)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_figures_with_faces_are_no_part_of_the_docs(path: Path) -> None:
    record = Record.read(path.read_bytes())
    (listed,) = [each for each in LISTED if each.name == record.name]
    assert running.OWN_FOLDER not in record.data
    assert not record.full
    assert (path.parent / "figure.png").exists() is not listed.load().shows_faces


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_results_are_of_the_experiment_as_it_is(path: Path) -> None:
    record = Record.read(path.read_bytes())
    (listed,) = [each for each in LISTED if each.name == record.name]
    experiment = listed.load()
    assert (record.title, record.claim, record.rule) == (
        listed.title,
        experiment.claim,
        experiment.rule,
    )
    quick = experiment.quick
    assert (record.seeds, record.epochs) == (Trial(quick).seeds, quick.epochs), "run it anew"


def test_all_experiments_are_in_the_docs() -> None:
    assert {path.parent.name for path in RESULTS} == {listed.name for listed in LISTED}


def test_the_docs_stay_small() -> None:
    assert sum(file.stat().st_size for file in (DOCS / "lab").rglob("*.*")) < LARGEST


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(document, "LISTED", (made_up.LISTED,))
    monkeypatch.setattr(experiments.Listed, "load", lambda _listed: made_up.EXPERIMENT)
    made = running.run(
        made_up.LISTED, made_up.EXPERIMENT, Trial(made_up.EXPERIMENT.quick), full=False
    )
    return running.write(*made, tmp_path / "runs")


def test_a_run_is_taken_and_the_page_written(run: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    done = CliRunner().invoke(document.main, ["--docs", str(docs), "--take", str(run)])
    assert done.exit_code == 0, done.output
    page = (docs / "lab.md").read_text()
    assert "| [A made-up experiment](#made-up) | `made-up` | not reproduced |" in page
    assert "**Not reproduced.** The error is 4.88 % of <all>." in page
    assert "| b | 5.875 |" in page
    assert "1 on this page, of which 0 have p < 0.05 and about 0 would" in page
    assert "| error (%) | a → b | 0.5 | -1 to 2 | 0.5 | 10 pictures |" in page
    assert (docs / "lab" / "made-up" / "result.json").read_bytes() == (
        run / "result.json"
    ).read_bytes()
    with Image.open(docs / "lab" / "made-up" / "figure.png") as small:
        with Image.open(run / "figure.png") as large:
            assert small.size == large.size
        assert small.mode == "P"


def test_the_page_says_how_many_p_values_there_are(run: Path) -> None:
    record = Record.read((run / "result.json").read_bytes())
    (known,) = record.comparisons
    many = [known.model_copy(update={"p_value": value}) for value in (0.002, 0.05, 0.3)]
    told = document._caution([record, record.model_copy(update={"comparisons": tuple(many * 13)})])
    assert "40 on this page, of which 13 have p < 0.05 and about 2 would" in told


def test_faces_stay_out_of_the_docs(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows = replace(made_up.EXPERIMENT, shows_faces=True)
    monkeypatch.setattr(experiments.Listed, "load", lambda _listed: shows)
    document.adopt(run, tmp_path / "lab")
    assert not (tmp_path / "lab" / "made-up" / "figure.png").exists()
    assert "shows faces of real people" in document.page(tmp_path / "lab")
    record = Record.read((run / "result.json").read_bytes())
    own = record.model_copy(update={"data": running.OWN_FOLDER})
    (run / "result.json").write_bytes(own.written())
    with pytest.raises(OutputExists, match="somebody's own faces"):
        document.adopt(run, tmp_path / "lab")
