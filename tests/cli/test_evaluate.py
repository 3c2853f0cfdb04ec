"""`mien evaluate` as a person types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DatasetInvalid
from mien.evaluation import request as asking
from mien.evaluation.evaluate import evaluate
from mien.evaluation.request import Request
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from tests.bundles import aligned, calibrated, uncalibrated
from tests.evaluation import made
from tests.faces import encoded, folder_of_people
from tests.processes import run
from tests.vision.portraits import Patches, file, folder_of_photographs, photograph


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 people with 4 pictures each, two of which are none, and somebody who has no other."""
    folder = folder_of_people(tmp_path_factory.mktemp("data") / "people", people=12, shots=4)
    for bad in ("person-2/1.png", "person-3/0.png", "nobody/0.png"):
        (folder / bad).parent.mkdir(exist_ok=True)
        (folder / bad).write_bytes(b"rubbish")
    return folder


def refused(*arguments: str | Path) -> str:
    """The one sentence of a refusal: exit status 2, nothing on stdout, no traceback."""
    finished = run("mien", "evaluate", *arguments)
    assert finished.returncode == 2, finished
    assert finished.stdout == ""
    *usage, sentence = finished.stderr.strip().splitlines()
    assert all(line == "" or line.startswith(("Usage:", "Try ")) for line in usage), usage
    return sentence


def groups_of(folder: Path, path: Path) -> Path:
    names = sorted(child.name for child in folder.iterdir())
    rows = [f"{name},{'north' if row % 2 else 'south'}" for row, name in enumerate(names)]
    path.write_text("person,group\n" + "\n".join(rows) + "\n")
    return path


def test_a_folder_of_people_gets_a_report(bundle: Bundle, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    groups = groups_of(people, tmp_path / "groups.csv")
    finished = run("mien", "evaluate", bundle.folder, people, "--groups", groups, "--out", out)
    assert finished.returncode == 0, finished.stderr
    assert "equal error rate" in finished.stdout
    assert str(out / "report.html") in finished.stdout
    report = json.loads((out / "report.json").read_text())
    assert report["bundle"]["fingerprint"] == bundle.manifest.fingerprint
    assert report["acquisition"]["failures_to_acquire"] == 3
    assert report["acquisition"]["failure_to_acquire_rate"] == 3 / 49
    assert report["acquisition"]["failures_to_enrol"] == 1
    assert report["acquisition"]["people_failed"] == ["nobody"]
    assert report["data"]["pictures"] == 46
    assert [group["group"] for group in report["groups"]["groups"]] == ["north", "south"]
    assert report["groups"]["threshold"] == report["deployed"]["threshold"]
    assert (out / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (out / "figures" / "det.svg").read_text().startswith("<svg")


def test_another_bundle_stands_beside_it_on_the_same_pictures(
    bundle: Bundle, people: Path, tmp_path: Path
) -> None:
    other = calibrated(tmp_path / "other", seed=1, people=6)
    report = made.evaluated(bundle.folder, people, "--against", other.folder)
    alone = made.evaluated(other.folder, people)
    against = report["against"]
    assert against["bundle"] == alone["bundle"]
    assert against["verification"] == alone["verification"]
    eer = against["differences"][0]
    assert eer["this"] == pytest.approx(report["verification"]["eer"], abs=1e-6)
    assert eer["other"] == pytest.approx(alone["verification"]["eer"], abs=1e-6)
    assert eer["difference"] == pytest.approx(eer["other"] - eer["this"])
    low, high = eer["difference_interval95"]
    assert low <= eer["difference"] <= high


def test_bundle_compare_is_the_same_by_another_name(
    bundle: Bundle, people: Path, tmp_path: Path
) -> None:
    other = uncalibrated(tmp_path / "other", seed=1).folder
    compared = run("mien", "bundle", "compare", bundle.folder, other, people, "--json")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout) == made.evaluated(bundle.folder, people, "--against", other)
    alone = run("mien", "bundle", "compare", bundle.folder, people)
    assert alone.returncode == 2


def test_an_evaluation_is_repeated_from_saved_vectors(
    bundle: Bundle, people: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "v.npz"
    first = made.evaluated(bundle.folder, people, "--save-vectors", saved)
    again = made.evaluated(bundle.folder, saved)
    for report, name, source in ((first, "people", "folder"), (again, "v.npz", "vectors")):
        assert (report["data"].pop("name"), report["data"].pop("source")) == (name, source)
    assert first == again
    other = made.evaluated(bundle.folder, saved, "--seed", "1", "--threshold", "0.5")
    assert other["deployed"]["threshold"] == 0.5
    assert other["deployed"]["target_fmr"] is None
    assert other["identification"]["by_threshold"] != first["identification"]["by_threshold"]


def test_vectors_without_names_and_failures_do_not_tell_what_failed(
    bundle: Bundle, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    raw = random.normal(size=(6, bundle.manifest.input.dim)).astype(np.float32)
    np.savez(
        tmp_path / "v.npz",
        vectors=raw / np.linalg.norm(raw, axis=1, keepdims=True),
        people=np.array(["a", "a", "b", "b", "c", "c"]),
        fingerprint=np.array(bundle.manifest.fingerprint),
    )
    report = made.evaluated(bundle.folder, tmp_path / "v.npz")
    assert report["acquisition"] is None
    assert report["data"]["people"] == 3


def test_what_cannot_be_evaluated_is_refused_in_one_sentence(
    bundle: Bundle, people: Path, tmp_path: Path
) -> None:
    assert "is no bundle" in refused(tmp_path, people)
    assert "is no folder" in refused(bundle.folder, tmp_path / "nowhere")
    one = folder_of_people(tmp_path / "one", people=1, shots=3)
    assert "has 1 person; an evaluation compares at least 2" in refused(bundle.folder, one)
    half = folder_of_people(tmp_path / "half", people=1, shots=3)
    (half / "nobody").mkdir()
    (half / "nobody" / "1.png").write_bytes(b"rubbish")
    assert "has 1 person with a usable picture" in refused(bundle.folder, half)
    single = folder_of_people(tmp_path / "single", people=4, shots=1)
    assert "no genuine comparisons" in refused(bundle.folder, single)


def test_a_pair_file_that_does_not_fit_is_refused_before_anything_is_embedded(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = made.lfw_folder(tmp_path / "images", people=2, shots=2)
    pairs, saved = tmp_path / "pairs.txt", tmp_path / "v.npz"
    embedded = []
    monkeypatch.setattr(Pipeline, "embed_each", lambda _, pictures: embedded.append(pictures))
    monkeypatch.setattr(Pipeline, "__init__", lambda *_: embedded.append("a network is loaded"))
    pairs.write_text("1\nP-0\t1\t2\nP-0\t1\tP-7\t3\n")
    request = Request(images, pairs, save_vectors=saved)
    with pytest.raises(DatasetInvalid, match=f"1 images that are not in {images}: P-7/P-7_0003$"):
        evaluate(bundle, request)
    pairs.write_text("1\nP-0\t1\t2\nP-0\tone\tP-1\t1\n")
    with pytest.raises(DatasetInvalid, match="line 3"):
        evaluate(bundle, request)
    assert embedded == []
    assert not saved.exists()


def test_a_pair_file_that_does_not_fit_is_refused_in_one_sentence(
    bundle: Bundle, tmp_path: Path
) -> None:
    images = made.lfw_folder(tmp_path / "images", people=2, shots=2)
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("1\nP-0\t1\t2\nP-0\t1\tP-7\t3\n")
    assert refused(bundle.folder, images, "--pairs", pairs).endswith("P-7/P-7_0003")


def test_groups_that_do_not_fit_are_refused(bundle: Bundle, people: Path, tmp_path: Path) -> None:
    groups = groups_of(people, tmp_path / "groups.csv")
    text = groups.read_text()
    groups.write_text(text.replace("person-3,", "person-33,"))
    sentence = refused(bundle.folder, people, "--groups", groups)
    assert "1 people without a group: person-3;" in sentence
    assert "does not know: person-33" in sentence
    groups.write_text("person,group\nSomebody,else\n")
    assert "names nobody of the 13 people" in refused(bundle.folder, people, "--groups", groups)
    groups.write_text(text)
    plain = uncalibrated(tmp_path / "plain")
    sentence = refused(plain.folder, people, "--groups", groups)
    assert "not calibrated" in sentence
    assert "threshold" in sentence
    assert made.evaluated(
        plain.folder, people, "--groups", groups, "--threshold", "0.6"
    )["groups"]["threshold"] == 0.6  # fmt: skip


def test_nothing_is_written_over(bundle: Bundle, people: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert "exists already" in refused(bundle.folder, people, "--out", tmp_path / "out")
    assert "exists already" in refused(bundle.folder, people, "--out", tmp_path / "out/mine.txt")
    saved = tmp_path / "v.npz"
    saved.write_text("mine")
    assert "exists already" in refused(bundle.folder, people, "--save-vectors", saved)
    assert saved.read_text() == "mine"
    assert "end in .npz" in refused(bundle.folder, people, "--save-vectors", tmp_path / "v.txt")


def test_saved_vectors_are_of_one_bundle(bundle: Bundle, people: Path, tmp_path: Path) -> None:
    saved = tmp_path / "v.npz"
    made.evaluated(bundle.folder, people, "--save-vectors", saved)
    other = uncalibrated(tmp_path / "other", seed=1)
    assert "cannot be compared" in refused(other.folder, saved)
    assert "vectors of one bundle" in refused(bundle.folder, saved, "--against", other.folder)
    again = tmp_path / "w.npz"
    assert "saved vectors already" in refused(bundle.folder, saved, "--save-vectors", again)


def test_without_the_extra_json_works_and_a_page_is_refused(
    bundle: Bundle, people: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = sys.modules['jinja2'] = None\n"
        "from mien.cli.main import main; main()"
    )
    command = [sys.executable, "-c", code, "evaluate", str(bundle.folder), str(people)]
    plain = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert plain.returncode == 0, plain.stderr
    assert json.loads(plain.stdout)["format"] == "mien-evaluation/1"
    table = subprocess.run(command, capture_output=True, text=True, check=False)
    assert table.returncode == 0, table.stderr
    out = tmp_path / "out"
    refusal = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert refusal.returncode == 2
    assert "pip install 'mien[report]'" in refusal.stderr
    assert not out.exists()


def test_json_is_all_that_is_on_stdout(bundle: Bundle, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = made.evaluated(bundle.folder, people, "--out", out)
    assert report == json.loads((out / "report.json").read_text())


def test_evaluating_never_imports_torch_or_the_wire(bundle: Bundle, people: Path) -> None:
    code = (
        "import sys; from mien.cli.main import main\n"
        f"main(['evaluate', {str(bundle.folder)!r}, {str(people)!r}], standalone_mode=False)\n"
        "print(sorted({'torch', 'grpc', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ
    ).stdout
    assert printed.endswith("[]\n")


def test_one_picture_copied_everywhere_is_measured(bundle: Bundle, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    for name in ("Anna", "Ben", "Carla"):
        (copies / name).mkdir(parents=True)
        for shot in range(2):
            (copies / name / f"{shot}.png").write_bytes(encoded(0, 0))
    edges = made.evaluated(bundle.folder, copies)["verification"]["similarities"]["edges"]
    assert edges[-1] - edges[0] == pytest.approx(1e-3)


def test_what_cannot_be_written_is_refused_before_anything_is_embedded(
    bundle: Bundle, people: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for option, path, why in (
        ("--save-vectors", tmp_path / "nowhere" / "x.npz", "there is no folder"),
        ("--save-vectors", tmp_path / "file" / "x.npz", "Not a directory"),
        ("--save-vectors", Path("/proc/x.npz"), "cannot be written"),
        ("--save-vectors", tmp_path / ("x" * 245 + ".npz"), "longer than 240 bytes"),
        ("--out", tmp_path / "file" / "deep" / "out", "Not a directory"),
        ("--out", Path("/proc/mien/out"), "cannot be written"),
        ("--out", tmp_path / ("x" * 300), "longer than 240 bytes"),
        ("--out", tmp_path / "/".join(["x" * 200] * 30), "File name too long"),
        ("--out", tmp_path / "link", "it is a link to nothing"),
    ):
        sentence = refused(bundle.folder, people, option, path)
        assert f"{path} cannot be written: " in sentence, sentence
        assert why in sentence
        assert "embed" not in sentence
    assert sorted(child.name for child in tmp_path.iterdir()) == ["file", "link"]


def test_saved_vectors_and_a_report_do_not_share_a_folder(
    bundle: Bundle, people: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    inside = out / "v.npz"
    sentence = refused(bundle.folder, people, "--out", out, "--save-vectors", inside)
    assert "which the report fills alone" in sentence


def test_swapped_arguments_are_asked_about(bundle: Bundle, people: Path) -> None:
    assert "BUNDLE and DATASET swapped?" in refused(people, bundle.folder)


def test_what_only_looks_like_a_picture_does_not_end_an_evaluation(
    bundle: Bundle, tmp_path: Path
) -> None:
    folder = folder_of_people(tmp_path / "people", people=3, shots=2)
    (folder / "person-0" / "folder.png").mkdir()
    (folder / "person-1" / "link.png").symlink_to(tmp_path / "nothing.png")
    assert made.evaluated(bundle.folder, folder)["acquisition"]["pictures"] == 6


class TestPhotographs:
    """A bundle that aligns faces finds them in the pictures of the dataset."""

    @pytest.fixture
    def photographs(self, tmp_path: Path) -> Path:
        folder = folder_of_photographs(tmp_path / "photographs", 4, 3)
        (folder / "p0" / "9.png").write_bytes(file(photograph()))
        return folder

    @pytest.fixture
    def aligned_bundle(self, tmp_path: Path) -> Bundle:
        return aligned(tmp_path / "aligned")

    def test_its_faces_are_found_and_whoever_has_none_is_told(
        self, aligned_bundle: Bundle, photographs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Path | None] = []

        def detector(alignment: str, model: Path | None) -> Patches:
            asked.append(model)
            return Patches()

        monkeypatch.setattr(asking, "detector_for", detector)
        model = Path("some.onnx")
        report = evaluate(aligned_bundle, Request(photographs, detector_model=model))
        assert asked == [model]
        assert report.acquisition
        assert report.acquisition.failures_to_acquire == 1
        assert report.data.pictures == 12
        assert report.verification.eer < 0.2

    @pytest.mark.parametrize("command", [("evaluate",), ("bundle", "compare")])
    def test_a_missing_detector_is_one_sentence_with_the_command(
        self,
        aligned_bundle: Bundle,
        photographs: Path,
        tmp_path: Path,
        command: tuple[str, ...],
    ) -> None:
        bundles = [aligned_bundle.folder] * len(command)
        gone = tmp_path / "gone.onnx"
        finished = run("mien", *command, *bundles, photographs, "--detector-model", gone)
        assert finished.returncode == 2
        (sentence,) = finished.stderr.splitlines()
        assert "gone.onnx is no file" in sentence
        assert "mien models fetch yunet" in sentence
