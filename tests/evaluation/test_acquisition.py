from pathlib import Path

import pytest

from mien.dataset import scan
from mien.errors import DatasetInvalid
from mien.evaluation.acquisition import acquire, acquisition, pictures_of
from mien.evaluation.samples import Failure
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from tests.evaluation import made
from tests.faces import folder_of_people


def test_every_picture_is_a_sample_or_a_failure(bundle: Bundle, tmp_path: Path) -> None:
    folder_of_people(tmp_path, people=12, shots=6)
    (tmp_path / "person-1" / "0.png").write_bytes(b"rubbish")
    (tmp_path / "person-7" / "3.png").write_bytes(b"")
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "1.jpg").write_bytes(b"P6 9999999 9999999 255 ")
    pictures = pictures_of(scan(tmp_path))
    pipeline = Pipeline(bundle, threads=1)
    found = acquire(pipeline, pictures)
    assert found.failures == (
        Failure("nobody", "nobody/1.jpg", "IMAGE_TOO_LARGE"),
        Failure("person-1", "person-1/0.png", "IMAGE_UNDECODABLE"),
        Failure("person-7", "person-7/3.png", "IMAGE_UNDECODABLE"),
    )
    failed = {failure.name for failure in found.failures}
    kept = [picture for picture in pictures if picture.name not in failed]
    assert found.names.tolist() == [picture.name for picture in kept]
    assert found.people.tolist() == [picture.person for picture in kept]
    for row in (0, 10, len(kept) - 1):
        alone = pipeline.embed(kept[row].path.read_bytes())
        assert abs(found.vectors[row] - alone).max() < 1e-6


def test_failures_are_counted_of_pictures_and_of_people() -> None:
    failures = (
        Failure("person-000", "person-000/9.png", "NO_FACE"),
        Failure("person-900", "person-900/0.png", "NO_FACE"),
        Failure("person-900", "person-900/1.png", "IMAGE_UNDECODABLE"),
    )
    found = acquisition(made.samples(people=4, shots=3, failures=failures))
    assert found is not None
    assert (found.failures_to_acquire, found.pictures) == (3, 15)
    assert found.failure_to_acquire_rate == 3 / 15
    assert (found.failures_to_enrol, found.people) == (1, 5)
    assert found.failure_to_enrol_rate == 1 / 5
    assert found.reasons == {"IMAGE_UNDECODABLE": 1, "NO_FACE": 2}
    assert found.people_failed == ["person-900"]
    assert len(found.pictures_failed) == 3


def test_what_was_not_recorded_is_not_zero() -> None:
    recorded = made.samples(people=2, shots=2)
    unknown = type(recorded)(recorded.vectors, recorded.people, recorded.names, None)
    assert acquisition(unknown) is None


def test_nothing_but_rubbish_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("Anna", "Ben"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"rubbish")
    with pytest.raises(DatasetInvalid, match=r"none of the 2 pictures .*IMAGE_UNDECODABLE"):
        acquire(Pipeline(bundle, threads=1), pictures_of(scan(tmp_path)))


def test_a_file_that_is_not_given_is_a_failure_of_its_own_reason(
    bundle: Bundle, tmp_path: Path
) -> None:
    pictures = pictures_of(scan(folder_of_people(tmp_path, people=2, shots=3)))
    pictures[1].path.unlink()
    pictures[4].path.write_bytes(b"rubbish")
    pictures[5].path.unlink()
    pictures[5].path.mkdir()
    pipeline = Pipeline(bundle, threads=1)
    found = acquire(pipeline, pictures)
    assert found.failures == (
        Failure("person-0", "person-0/1.png", "UNREADABLE"),
        Failure("person-1", "person-1/1.png", "IMAGE_UNDECODABLE"),
        Failure("person-1", "person-1/2.png", "UNREADABLE"),
    )
    kept = [pictures[row] for row in (0, 2, 3)]
    assert found.names.tolist() == [picture.name for picture in kept]
    for vector, picture in zip(found.vectors, kept, strict=True):
        assert abs(vector - pipeline.embed(picture.path.read_bytes())).max() < 1e-6
    counted = acquisition(found)
    assert counted is not None
    assert counted.failures_to_acquire == 3
    assert counted.reasons == {"IMAGE_UNDECODABLE": 1, "UNREADABLE": 2}
