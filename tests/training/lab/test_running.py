"""What a run writes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from mien_training.lab import running
from mien_training.lab.experiment import Result, Trial
from mien_training.lab.record import Record
from tests.training.lab.made_up import EXPERIMENT, LISTED


@pytest.fixture
def made() -> tuple[Record, Result]:
    return running.run(LISTED, EXPERIMENT, Trial(EXPERIMENT.quick, seed=4), full=False)


def test_a_run_writes_three_files_and_replaces_older_ones(
    made: tuple[Record, Result], tmp_path: Path
) -> None:
    for _ in range(2):
        folder = running.write(*made, tmp_path / "lab")
        names = {file.name for file in folder.iterdir()}
        assert names == {"report.html", "figure.png", "result.json"}
    assert folder == tmp_path / "lab" / "made-up"
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_result_is_read_back_as_it_was(made: tuple[Record, Result], tmp_path: Path) -> None:
    record, result = made
    content = (running.write(record, result, tmp_path) / "result.json").read_bytes()
    assert Record.read(content) == record
    assert record.seeds == (4, 5)
    assert record.tables[0].means["b"] == {"error (%)": 3.25 * 4.5 + 1}
    assert record.versions.keys() == {"python", "mien", "torch", "numpy", "scikit-learn"}


def test_the_result_names_no_folder(made: tuple[Record, Result], tmp_path: Path) -> None:
    assert str(tmp_path) not in made[0].written().decode()
    trial = Trial(EXPERIMENT.quick, folder=tmp_path)
    record, _ = running.run(LISTED, replace(EXPERIMENT, data="faces"), trial, full=False)
    assert record.data == running.OWN_FOLDER
    assert tmp_path.name not in record.written().decode()


@pytest.mark.parametrize(
    "change", [{"colour": "red"}, {"seconds": "3"}, {"finding": {"verdict": "true"}}]
)
def test_an_unknown_key_or_another_type_is_refused(
    made: tuple[Record, Result], change: dict[str, object]
) -> None:
    values = json.loads(made[0].written()) | change
    with pytest.raises(ValidationError):
        Record.read(json.dumps(values).encode())


def test_the_report_shows_everything_in_one_file(
    made: tuple[Record, Result], tmp_path: Path
) -> None:
    page = (running.write(*made, tmp_path) / "report.html").read_text()
    for text in (
        "not reproduced",
        "Errors fall.",
        "Reproduced if they do.",
        "14.62 % of &lt;all&gt;",
    ):
        assert text in page
    assert "data:image/png;base64," in page
    assert "13 to 16.25" in page, "the least to the largest over the seeds"
    assert "<script" not in page
    assert 'src="http' not in page


def test_torch_is_left_as_it_was(made: tuple[Record, Result]) -> None:
    before = torch.random.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    running.run(LISTED, EXPERIMENT, Trial(EXPERIMENT.quick), full=False)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == torch.are_deterministic_algorithms_enabled()
