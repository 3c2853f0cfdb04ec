"""A source into a data directory: what becomes of each picture, also the second time."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from mien.enrolling import directory
from mien.enrolling.directory import AHEAD, BATCH, Directory
from mien.enrolling.items import Said
from mien.enrolling.job import Job
from mien.enrolling.ledger import Ledger, Row
from mien.enrolling.ledger_file import opened
from mien.enrolling.naming import subject_id
from mien.enrolling.options import Options
from mien.errors import (
    GalleryNotFound,
    ModelMismatch,
    NotCalibrated,
    PermissionDenied,
    SettingsInvalid,
    UnsupportedOperatingPoint,
)
from mien.gallery.galleries import Galleries
from tests import bundles
from tests.enrolling.made import FMR, GALLERY, Enrolling, altered, mixed, outcomes
from tests.faces import encoded, folder_of_people

ZOE = subject_id("Zoë Ødegård")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were just written are old enough to be known by their times."""
    at = time.time() + 60
    monkeypatch.setattr("mien.enrolling.reading.time.time", lambda: at)


def samples(enrolling: Enrolling) -> int:
    with Galleries(enrolling.data) as galleries:
        return galleries.get(GALLERY).samples


def manifest(folder: Path, *rows: Mapping[str, object]) -> Path:
    path = folder / "list.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_every_picture_has_an_outcome(enrolling: Enrolling, tmp_path: Path) -> None:
    rows = enrolling.run(mixed(tmp_path / "people"))
    found = outcomes(rows)
    assert found.pop("person-1/broken.jpg") == "IMAGE_UNDECODABLE"
    assert found.pop("person-1/notes.txt") == "NOT_A_PICTURE_NAME"
    assert found.pop("person-2/again.png") == "DUPLICATE_PICTURE"
    assert set(found.values()) == {"enrolled"}
    assert len(found) == 6 * 4 + 2
    assert samples(enrolling) == len(found)
    (twin,) = [row for row in rows if row.key == "person-3/of-another.png"]
    assert twin.warnings[0].reason == "SAME_PICTURE_OTHER_SUBJECT"
    assert enrolling.held()[ZOE][0] == "Zoë Ødegård"  # type: ignore[index]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("ledger", ["kept", "lost"])
def test_again_nothing_is_embedded_and_nothing_changes(
    enrolling: Enrolling, tmp_path: Path, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = mixed(tmp_path / "people")
    (source / "person-1" / "broken.jpg").unlink()
    first = outcomes(enrolling.run(source))
    before, bundle = enrolling.held(), enrolling.bundle
    if ledger == "lost":
        enrolling.ledger.unlink()
    else:
        monkeypatch.setattr("mien.enrolling.sorting.read", lambda *_: pytest.fail("it was read"))
    monkeypatch.setattr("mien.model.pipeline.Cropper.cut", lambda *_: pytest.fail("it was cut"))
    again = outcomes(enrolling.run(source))
    assert again == {key: {"enrolled": "known"}.get(what, what) for key, what in first.items()}
    assert (enrolling.held(), enrolling.bundle) == (before, bundle)


def test_a_file_with_the_times_of_before_and_other_content_is_noticed_if_it_was_young(
    enrolling: Enrolling, tmp_path: Path
) -> None:
    source = folder_of_people(tmp_path / "people", 1, 1)
    enrolling.run(source)
    (source / "person-0" / "0.png").write_bytes(encoded(0, 5))
    assert outcomes(enrolling.run(source)) == {"person-0/0.png": "enrolled"}
    assert samples(enrolling) == 2


def test_with_sync_the_gallery_is_as_the_source(enrolling: Enrolling, tmp_path: Path) -> None:
    source = mixed(tmp_path / "people")
    enrolling.run(source)
    found = outcomes(enrolling.run(altered(source), Options(sync=True)))
    gone = {key for key, what in found.items() if what == "NOT_IN_SOURCE"}
    assert gone == {"person-3/3.png", *(f"person-5/{shot}.png" for shot in range(4))}
    other = Enrolling(tmp_path / "other", enrolling.bundle)
    other.run(source)
    assert enrolling.held() == other.held()
    again = outcomes(enrolling.run(source, Options(sync=True)))
    assert gone.isdisjoint(again)


def test_without_sync_what_was_enrolled_stays(enrolling: Enrolling, tmp_path: Path) -> None:
    source = mixed(tmp_path / "people")
    enrolling.run(source)
    count = samples(enrolling)
    enrolling.run(altered(source))
    assert samples(enrolling) == count + 2


def test_a_copy_takes_the_place_of_a_picture_that_goes(
    enrolling: Enrolling, tmp_path: Path
) -> None:
    source = folder_of_people(tmp_path / "people", 1, 2)
    shutil.copy(source / "person-0" / "0.png", source / "person-0" / "copy.png")
    enrolling.run(source)
    before = enrolling.held()
    (source / "person-0" / "0.png").unlink()
    assert outcomes(enrolling.run(source, Options(sync=True))) == {
        "person-0/1.png": "known",
        "person-0/copy.png": "known",
        "person-0/0.png": "NOT_IN_SOURCE",
    }
    assert enrolling.held() == before


def test_nobody_is_removed_while_a_part_of_the_source_cannot_be_read(
    enrolling: Enrolling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of_people(tmp_path / "people", 2, 2)
    enrolling.run(source)
    real = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "person-1":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("mien.enrolling.folder.os.scandir", scandir)
    found = outcomes(enrolling.run(source, Options(sync=True)))
    assert found["person-1"] == "FOLDER_UNREADABLE"
    assert samples(enrolling) == 4
    assert "nothing was removed" in enrolling.notes[0]


def test_what_was_deleted_from_the_gallery_is_enrolled_again_only_if_the_ledger_is_forgotten(
    enrolling: Enrolling, tmp_path: Path
) -> None:
    source = folder_of_people(tmp_path / "people", 2, 2)
    enrolling.run(source)
    with Galleries(enrolling.data) as galleries:
        galleries.delete_subject(GALLERY, "person-1")
    enrolling.run(source)
    assert set(enrolling.held()) == {"person-0"}
    enrolling.ledger.unlink()
    enrolling.run(source)
    assert set(enrolling.held()) == {"person-0", "person-1"}


def test_a_ledger_of_a_gallery_that_was_made_anew_is_forgotten(
    enrolling: Enrolling, tmp_path: Path
) -> None:
    source = folder_of_people(tmp_path / "people", 2, 2)
    enrolling.run(source)
    with Galleries(enrolling.data) as galleries:
        galleries.delete(GALLERY)
    assert set(outcomes(enrolling.run(source)).values()) == {"enrolled"}


class TestRefusals:
    """Reported if not asked for, refused by policy."""

    def test_copies(self, enrolling: Enrolling, tmp_path: Path) -> None:
        source = mixed(tmp_path / "people")
        options = Options(duplicates="refuse", other_subject="refuse", fmr=FMR)
        rows = {row.key: row for row in enrolling.run(source, options)}
        for key, reason in (
            ("person-2/again.png", "DUPLICATE_PICTURE"),
            ("person-3/of-another.png", "SAME_PICTURE_OTHER_SUBJECT"),
        ):
            assert rows[key].outcome == "refused"
            refusal = rows[key].refusal
            assert refusal is not None
            assert refusal.reason == reason

    @pytest.mark.parametrize("policy", ["report", "refuse"])
    def test_one_face_under_two_names(
        self, enrolling: Enrolling, tmp_path: Path, policy: str
    ) -> None:
        source = folder_of_people(tmp_path / "people", 2, 3)
        (source / "someone").mkdir()
        (source / "someone" / "1.png").write_bytes(encoded(1, 9))
        options = Options(other_subject=policy, fmr=FMR)  # type: ignore[arg-type]
        row = enrolling.run(source, options)[-1]
        if policy == "report":
            assert row.outcome == "enrolled"
            assert row.warnings[0].reason == "NEAR_OTHER_SUBJECT"
            assert row.warnings[0].message.endswith("to person-1")
        else:
            assert row.refusal is not None
            assert row.refusal.reason == "DUPLICATE_OTHER_SUBJECT"
            assert "someone" not in enrolling.held()

    @pytest.mark.parametrize("policy", ["report", "refuse"])
    def test_a_picture_that_does_not_fit(
        self, enrolling: Enrolling, tmp_path: Path, policy: str
    ) -> None:
        source = folder_of_people(tmp_path / "people", 2, 4)
        (source / "person-0" / "stranger.png").write_bytes(encoded(1, 9))
        options = Options(misfits=policy, fmr=FMR)  # type: ignore[arg-type]
        rows = {row.key: row for row in enrolling.run(source, options)}
        row = rows["person-0/stranger.png"]
        told = row.misfit or (row.refusal.message if row.refusal else "")
        assert "pictures of person-0, and most like person-1" in told
        assert samples(enrolling) == (9 if policy == "report" else 8)
        again = {row.key: row for row in enrolling.run(source, options)}["person-0/stranger.png"]
        assert (again.misfit, again.refusal) == (row.misfit, row.refusal)
        assert samples(enrolling) == (9 if policy == "report" else 8)

    def test_a_rate_that_the_calibration_cannot_support_ends_the_run(
        self, enrolling: Enrolling, tmp_path: Path
    ) -> None:
        source = folder_of_people(tmp_path / "people", 1, 2)
        for options in (
            Options(other_subject="refuse", fmr=0.001),
            Options(misfits="refuse", fmr=0.001),
        ):
            with pytest.raises(UnsupportedOperatingPoint):
                enrolling.run(source, options)
        assert outcomes(enrolling.run(source)).keys() == {"person-0/0.png", "person-0/1.png"}
        assert "no picture was looked at" not in "".join(enrolling.notes)

    def test_without_a_calibration_nothing_is_said_of_likeness(
        self, enrolling: Enrolling, tmp_path: Path
    ) -> None:
        bundle = bundles.uncalibrated(tmp_path / "uncalibrated")
        bare = Enrolling(tmp_path / "bare", bundle)
        rows = bare.run(mixed(tmp_path / "people"))
        assert "enrolled" in outcomes(rows).values()
        assert "calibrat" in bare.notes[0]
        with pytest.raises(NotCalibrated):
            bare.run(tmp_path / "people", Options(misfits="refuse"))


def test_a_key_that_may_only_enrol_does_not_look_at_all_and_whoever_may_does_it_later(
    enrolling: Enrolling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of_people(tmp_path / "people", 2, 4)
    (source / "person-0" / "stranger.png").write_bytes(encoded(1, 9))

    def denied(*_: object) -> None:
        raise PermissionDenied("the key is not for this")

    with monkeypatch.context() as patch:
        patch.setattr(Directory, "duplicates", denied)
        rows = enrolling.run(source, Options(fmr=FMR))
        assert not [row for row in rows if row.misfit]
        assert "the key is not for this" in enrolling.notes[0]
        with pytest.raises(PermissionDenied):
            enrolling.run(source, Options(misfits="refuse", fmr=FMR))
    rows = enrolling.run(source, Options(fmr=FMR))
    assert [row.key for row in rows if row.misfit] == ["person-0/stranger.png"]


class TestTrying:
    """A plan and a validation change nothing, and say what a run would do."""

    def run(self, enrolling: Enrolling, source: Path, options: Options) -> dict[str, str]:
        before = enrolling.held(), enrolling.ledger.read_bytes()
        with (
            Directory(enrolling.data, GALLERY, enrolling.bundle, options) as place,
            opened(enrolling.ledger, tries=True) as ledger,
        ):
            rows = enrolling.go(source, place, ledger, options)
        assert (enrolling.held(), enrolling.ledger.read_bytes()) == before
        return {row.key: str(row.outcome) for row in rows}

    def test_a_plan(self, enrolling: Enrolling, tmp_path: Path) -> None:
        source = mixed(tmp_path / "people")
        enrolling.run(source)
        found = self.run(enrolling, altered(source), Options(plan=True, sync=True))
        assert found["person-1/new.png"] == "add"
        assert found["person-1/broken.jpg"] == "add"
        assert found["person-1/0.png"] == "change"
        assert found["person-5/1.png"] == "remove"
        assert found["person-2/1.png"] == "known"
        assert found["person-2/again.png"] == "duplicate"

    def test_a_plan_of_a_run_whose_ledger_is_lost(
        self, enrolling: Enrolling, tmp_path: Path
    ) -> None:
        source = folder_of_people(tmp_path / "people", 2, 2)
        enrolling.run(source)
        enrolling.ledger.unlink()
        Ledger(enrolling.ledger).close()
        assert set(self.run(enrolling, source, Options(plan=True)).values()) == {"known"}

    def test_a_validation(self, enrolling: Enrolling, tmp_path: Path) -> None:
        source = mixed(tmp_path / "people")
        enrolling.run(folder_of_people(tmp_path / "others", 1, 1, first=8))
        found = self.run(enrolling, source, Options(validate_only=True))
        assert found["person-1/broken.jpg"] == "refused"
        assert found["person-1/1.png"] == "enrolled"


class TestLists:
    def test_what_is_said_is_kept_and_changed(self, enrolling: Enrolling, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(encoded(1, 1))
        row: dict[str, object] = {
            "path": "a.png",
            "subject": "anna",
            "labels": {"site": "oslo"},
            "consent_ref": "C1",
        }
        row |= {"expires": "2090-01-01"}
        enrolling.run(manifest(tmp_path, row))
        assert enrolling.held()["anna"][:3] == ("", {"site": "oslo"}, "C1")  # type: ignore[index]
        row |= {"labels": {"role": "guard"}, "consent_ref": "C2", "display_name": "Anna"}
        row |= {"expires": "2091-01-01"}
        (found,) = enrolling.run(manifest(tmp_path, row))
        assert (found.outcome, found.warnings[0].reason) == ("known", "EXPIRY_AS_BEFORE")
        labels = {"site": "oslo", "role": "guard"}
        assert enrolling.held()["anna"][:3] == ("Anna", labels, "C2")  # type: ignore[index]

    def test_bad_lines_and_lines_twice(self, enrolling: Enrolling, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(encoded(1, 1))
        row = {"path": "a.png", "subject": "anna"}
        source = manifest(tmp_path, row, {"path": "b.png"}, row, {"path": "c", "subject": "c"})
        rows = enrolling.run(source, Options(sync=True))
        assert [(row.key, row.refusal and row.refusal.reason) for row in rows] == [
            ("a.png", None),
            ("b.png", "LINE_INVALID"),
            ("c", "FILE_VANISHED"),
        ]

    def test_one_picture_for_two_people_has_two_lines(
        self, enrolling: Enrolling, tmp_path: Path
    ) -> None:
        (tmp_path / "a.png").write_bytes(encoded(1, 1))
        rows = [{"path": "a.png", "subject": who} for who in ("anna", "ben")]
        found = enrolling.run(manifest(tmp_path, *rows))
        assert [row.outcome for row in found] == ["enrolled", "enrolled"]
        assert found[1].warnings[0].message == "the same bytes as a.png, which is anna"


def enrolling_place(enrolling: Enrolling) -> Directory:
    return Directory(enrolling.data, GALLERY, enrolling.bundle, Options(), create=True)


def test_what_is_no_place_is_refused(enrolling: Enrolling, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="is no data directory"):
        Directory(tmp_path / "none", GALLERY, enrolling.bundle, Options())
    assert not (tmp_path / "none").exists()
    with enrolling_place(enrolling) as place:
        with pytest.raises(GalleryNotFound):
            place.gallery()
        place.create()
    other = bundles.uncalibrated(tmp_path / "other", seed=5)
    with (
        Directory(enrolling.data, GALLERY, other, Options()) as place,
        pytest.raises(ModelMismatch),
    ):
        place.gallery()


def test_no_more_is_read_than_is_worked_on(enrolling: Enrolling, tmp_path: Path) -> None:
    """Back-pressure: whoever gives pictures waits while a few batches are under way."""

    taken, cores = 0, len(os.sched_getaffinity(0))

    def jobs() -> Iterator[Job]:
        nonlocal taken
        for shot in range(2000):
            taken += 1
            yield Job(Row(str(shot), "anna", "anna", sha256=f"{shot:064x}"), content, Said(), "")

    content = encoded(1, 1)
    with enrolling_place(enrolling) as place:
        place.create()
        answers = place.enroll(jobs())
        for answered in range(1, 400):
            next(answers)
            assert taken <= answered + BATCH * ((1 + AHEAD) * cores + 1)


def test_batches_end_by_weight_too() -> None:

    def sizes(weights: Sequence[int]) -> list[int]:
        jobs = (Job(Row("", "", ""), bytes(weight), Said(), "") for weight in weights)
        return [len(batch) for batch in directory._batches(jobs)]

    half = directory.BATCH_BYTES // 2
    assert sizes([1] * 70) == [32, 32, 6]
    assert sizes([half, half, half, 1]) == [2, 2]
    assert sizes([]) == []
