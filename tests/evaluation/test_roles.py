"""Folders that say who is enrolled and who is searched for."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DatasetInvalid, InvalidRequest
from mien.evaluation.contract import Report, Role
from mien.evaluation.evaluate import evaluate
from mien.evaluation.request import Request
from mien.evaluation.roles import acquired, enrolment, open_folders
from mien.evaluation.samples import Failure, Samples
from mien.evaluation.summary import summary
from mien.model.bundle import Bundle
from mien.report.evaluation import figures, page
from tests.bundles import aligned
from tests.cli.test_evaluate import refused
from tests.evaluation import made
from tests.faces import encoded, folder_of_people
from tests.vision.portraits import folder_of_photographs


def write(folder: Path, people: range, shots: range) -> Path:
    for person in people:
        home = folder / f"person-{person}"
        home.mkdir(parents=True)
        for shot in shots:
            (home / f"{shot}.png").write_bytes(encoded(person, shot))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Role, Path]:
    """Ten people with 4 pictures each, 3 others of each, one of whom nobody can enrol, and two
    strangers among the probes; 9 more strangers."""
    root = tmp_path_factory.mktemp("roles")
    found: dict[Role, Path] = {
        "gallery": write(root / "enrolled", range(10), range(4)),
        "probes": write(root / "asked", range(12), range(4, 7)),
        "strangers": write(root / "others", range(30, 39), range(2)),
    }
    (found["gallery"] / "person-0" / "9.png").write_bytes(b"rubbish")
    (found["probes"] / "person-3" / "9.png").write_bytes(b"rubbish")
    for picture in (found["gallery"] / "person-7").iterdir():
        picture.write_bytes(b"rubbish")
    return found


@pytest.fixture(scope="module")
def report(bundle: Bundle, folders: dict[Role, Path]) -> Report:
    return evaluate(bundle, asked(folders))


def asked(folders: dict[Role, Path]) -> Request:
    return Request(folders["gallery"], probes=folders["probes"], strangers=folders.get("strangers"))


def test_everybody_of_the_gallery_is_enrolled_and_the_rest_is_searched_for(
    report: Report,
) -> None:
    """person-7 could not be enrolled, so that nobody searches for person-7 either."""
    found = report.identification
    assert found is not None
    assert not found.drawn
    assert (found.enrolled_people, found.enrolled_samples) == (9, 36)
    assert found.mated_searches == 27
    assert (found.strangers, found.non_mated_searches) == (2 + 9, 6 + 18)
    assert found.by_gallery_size[-1].people == 9


def test_failures_are_told_of_each_folder(report: Report) -> None:
    assert report.folders is not None
    gallery, probes, strangers = report.folders
    assert [one.role for one in report.folders] == ["gallery", "probes", "strangers"]
    assert [one.name for one in report.folders] == ["enrolled", "asked", "others"]
    assert gallery.acquisition.reasons == {"IMAGE_UNDECODABLE": 5}
    assert gallery.acquisition.people_failed == ["person-7"]
    assert gallery.acquisition.failure_to_enrol_rate == 0.1
    assert gallery.acquisition.failure_to_acquire_rate == 5 / 41
    assert probes.acquisition.pictures_failed == ["probes/person-3/9.png"]
    assert strangers.acquisition.failures_to_acquire == 0
    assert report.acquisition is not None
    assert report.acquisition.failures_to_acquire == 6


def test_rates_equal_a_slow_loop() -> None:
    random = np.random.default_rng(4)
    samples = made.samples(people=12, shots=4, spread=0.7)
    roles = ["gallery"] * 2 + ["probes"] * 2
    names = [f"{roles[row % 4]}/{name}" for row, name in enumerate(samples.names)]
    strangers = samples.person_numbers >= 9
    names = [
        name.replace("gallery/", "strangers/") if far else name
        for name, far in zip(names, strangers, strict=True)
    ]
    order = random.permutation(len(names))
    told = Samples(samples.vectors[order], samples.people[order], np.array(names)[order], ())
    found = enrolment(told)
    gallery = {
        (name.split("/")[1], tuple(vector))
        for name, vector in zip(told.names.tolist(), told.vectors.tolist(), strict=True)
        if name.startswith("gallery/")
    }
    numbers = dict(zip(told.people.tolist(), told.person_numbers.tolist(), strict=True))
    kept = zip(found.gallery_people.tolist(), found.gallery.tolist(), strict=True)
    assert {(numbers[who], vector) for who, vector in gallery} == {
        (who, tuple(vector)) for who, vector in kept
    }
    assert len(found.gallery) == 18
    assert len(found.probes) == 30
    assert found.mated.sum() == 18


def test_what_failed_to_enrol_is_not_searched_for() -> None:
    samples = made.samples(people=3, shots=2)
    roles = ["gallery", "probes"] * 3
    roles[0] = "probes"
    told = Samples(
        samples.vectors,
        samples.people,
        np.array([f"{role}/{name}" for role, name in zip(roles, samples.names, strict=True)]),
        (Failure("person-000", "gallery/person-000/9.png", "NO_FACE"),),
    )
    found = enrolment(told)
    assert len(found.gallery) == 2
    assert found.mated.all()
    assert acquired(told, {}) is None


def test_a_person_who_is_called_as_a_role_is_a_person(bundle: Bundle, tmp_path: Path) -> None:
    folder = folder_of_people(tmp_path / "people", people=6, shots=4)
    (folder / "person-0").rename(folder / "gallery")
    report = evaluate(bundle, Request(folder))
    assert report.folders is None
    assert report.identification is not None
    assert report.identification.drawn
    assert report.identification.enrolled_people == 3


class TestFoldersThatDoNotGoTogether:
    def test_the_same_folder_twice(self, folders: dict[Role, Path]) -> None:
        again: dict[Role, Path] = {**folders, "probes": folders["gallery"] / ".." / "enrolled"}
        with pytest.raises(DatasetInvalid, match="the folder of the gallery and of the probes"):
            open_folders(again)

    def test_nobody_of_the_gallery_is_searched_for(self, folders: dict[Role, Path]) -> None:
        with pytest.raises(DatasetInvalid, match=r"it has 'person-30', .* the same name in both"):
            open_folders({"gallery": folders["gallery"], "probes": folders["strangers"]})

    def test_no_stranger(self, folders: dict[Role, Path]) -> None:
        with pytest.raises(DatasetInvalid, match=r"no FPIR; name .* --strangers"):
            open_folders({"gallery": folders["probes"], "probes": folders["gallery"]})

    def test_a_stranger_who_is_enrolled(self, folders: dict[Role, Path], tmp_path: Path) -> None:
        strangers = tmp_path / "strangers"
        shutil.copytree(folders["strangers"], strangers)
        (strangers / "person-30").rename(strangers / "person-2")
        told: dict[Role, Path] = {**folders, "strangers": strangers}
        with pytest.raises(DatasetInvalid, match=re.escape(f"'person-2' of {strangers} is in")):
            open_folders(told)

    def test_strangers_alone_pairs_and_saved_vectors(
        self, bundle: Bundle, folders: dict[Role, Path], tmp_path: Path
    ) -> None:
        gallery, probes = folders["gallery"], folders["probes"]
        with pytest.raises(InvalidRequest, match="name those, too"):
            evaluate(bundle, Request(gallery, strangers=folders["strangers"]))
        with pytest.raises(InvalidRequest, match="pairs do not go with probes"):
            evaluate(bundle, Request(gallery, pairs=tmp_path / "pairs.txt", probes=probes))
        with pytest.raises(InvalidRequest, match="saved vectors do not go with probes"):
            evaluate(bundle, Request(gallery, save_vectors=tmp_path / "v.npz", probes=probes))


def test_the_page_and_the_table_tell_who_and_what_failed(report: Report) -> None:
    html, table = page(report, figures(report)), summary(report)
    assert "projection-0 on enrolled, asked, others" in html
    assert "The folders say who is enrolled" in html
    assert "find somebody (FPIR)" in html
    assert "gallery: enrolled" in html
    assert "IMAGE_UNDECODABLE 5" in html
    assert re.search(r"failure to enrol \(FTE\) +10\.00 % +1 of 10 people", table)
    assert re.search(r"\(FTA\), gallery +12\.20 % +5 of 41 pictures, IMAGE_UNDECODABLE 5", table)
    assert "FPIR of a gallery of 36 pictures" in table


class TestTheMiddle:
    """The same bundle without a detector."""

    def test_finding_faces_is_held_against_the_middle_of_each_picture(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mien.evaluation import request as asking
        from tests.vision.portraits import Patches

        monkeypatch.setattr(asking, "detector_for", lambda *_: Patches())
        photographs = folder_of_photographs(tmp_path / "photographs", 12, 3)
        found = evaluate(aligned(tmp_path / "bundle"), Request(photographs, middle=0.5))
        assert found.against is not None
        assert found.against.middle == 0.5
        assert found.against.bundle == found.bundle
        assert found.verification.eer < 0.1 < found.against.verification.eer
        assert found.against.differences[0].measure == "EER"
        assert found.against.differences[0].difference > 0.1
        assert "against projection-0, middle 50 %" in summary(found)
        html = page(found, figures(found))
        assert "<h2>Against projection-0, middle 50 %" in html
        assert "the crop is the middle of each picture" in html

    def test_it_needs_a_bundle_that_looks_for_faces_and_no_other_one(
        self, bundle: Bundle, folders: dict[Role, Path]
    ) -> None:
        gallery = folders["gallery"]
        assert "has the alignment none" in refused(
            bundle.folder, gallery, "--against-middle", "0.5"
        )
        sentence = refused(
            bundle.folder, gallery, "--against-middle", "0.5", "--against", bundle.folder
        )
        assert "not both" in sentence
        assert "0<x<=1" in refused(bundle.folder, gallery, "--against-middle", "1.5")
        with pytest.raises(InvalidRequest, match="above 0"):
            evaluate(bundle, Request(gallery, middle=0.0))
