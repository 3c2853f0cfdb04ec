"""What nobody said is found out on a folder, or asked for."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.dataset import digest
from mien.errors import (
    BundleInvalid,
    DatasetInvalid,
    DetectorMissing,
    InvalidRequest,
    OutputExists,
)
from mien.matching.calibration import calibrate
from mien.matching.metrics import cross_compare
from mien.model.embedder import Embedder
from mien.model.foreign import importing
from mien.model.foreign.importing import Order, import_network, markdown
from mien.model.foreign.network import Foreign, read
from mien.model.foreign.people import MOST_PICTURES, Unusable, embed, people_of, some
from mien.model.foreign.preprocessing import SCALES, Preprocessing
from mien.model.foreign.stated import Stated
from mien.model.foreign.trial import CLEARLY, HALVES, Tried, attempt, choose, is_grey
from mien.model.pipeline import Pipeline
from mien.model.proof import prove
from mien.vision.cropper import Cropper
from mien.vision.faces import WholePicture
from tests.faces import folder_of_people
from tests.model.foreign.networks import build, by_hand, write
from tests.vision.portraits import Patches, file, folder_of_photographs, photograph

SIDE = 16
CROPPER = Cropper(SIDE, SIDE, "none", WholePicture())


def choosy(layout_known: bool = True) -> onnx.ModelProto:
    """A network that sees red only, as cos(π x), which goes one way between 0 and 1 only."""
    weights = np.zeros((3 * SIDE * SIDE, 32), np.float32)
    weights[: SIDE * SIDE] = np.random.default_rng(2).normal(size=(SIDE * SIDE, 32))
    constants = {
        "pi": np.float32(np.pi),
        "flat": np.array([0, 3 * SIDE * SIDE]),
        "weights": weights,
        "kernel": np.eye(3, dtype=np.float32)[:, :, None, None],
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["same"]),
        helper.make_node("Mul", ["same", "pi"], ["angle"]),
        helper.make_node("Cos", ["angle"], ["cosine"]),
        helper.make_node("Reshape", ["cosine", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["embedding"]),
    ]
    shape: list[int | str] = ["batch", 3, SIDE, SIDE] if layout_known else ["batch", "c", "h", "w"]
    graph = helper.make_graph(
        nodes,
        "choosy",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 32])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def red_faces(folder: Path, people: int, shots: int = 5, grey: bool = False) -> Path:
    """Who it is can be seen in red; green and blue are noise. In grey all three are red."""
    for person in range(people):
        look = np.random.default_rng([person, 3]).uniform(0, 255, (SIDE, SIDE))
        (folder / f"p{person:02}").mkdir(parents=True)
        for shot in range(shots):
            random = np.random.default_rng([person, shot, 4])
            picture = random.uniform(0, 255, (SIDE, SIDE, 3))
            red = look + random.normal(0, 60, look.shape)
            picture[:, :, 0] = red
            picture = np.repeat(red[:, :, None], 3, axis=2) if grey else picture
            pixels = np.clip(picture, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"p{person:02}" / f"{shot}.png"), pixels[:, :, ::-1])
    return folder


def order(
    tmp_path: Path, people: Path | None, network: onnx.ModelProto, **changes: object
) -> Order:
    order = Order(write(tmp_path, network), "choosy", "CC0-1.0", Stated(), people=people)
    return replace(order, **changes)  # type: ignore[arg-type]


def test_it_finds_layout_channels_and_scale_and_tells_how(tmp_path: Path) -> None:
    told: list[Tried] = []
    people = red_faces(tmp_path / "people", 14)
    imported = order(tmp_path, people, choosy(layout_known=False), stated=Stated(size=(SIDE, SIDE)))
    bundle = import_network(imported, tmp_path / "b", told.extend)
    provenance = bundle.manifest.provenance
    assert provenance["preprocessing"] == "nchw, rgb, unit"
    assert provenance["preprocessing_known_by"] == "trial of 20 ways"
    assert len(told) == 20
    assert told[0].way == Preprocessing("nchw", "rgb", SCALES["unit"])
    assert [tried for tried in told if tried.eer is None]  # nhwc does not run
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert markdown(told) in card
    assert "14 people of a folder that its importer named" in card
    assert "cannot check" in card
    assert "CC0-1.0" in card
    assert bundle.calibration is not None
    assert bundle.calibration.identities == 14
    assert [proof.claim for proof in prove(bundle.folder, 1)][-1] == "alone or in a batch"


def test_the_rates_of_the_table_are_those_of_the_sealed_bundle(tmp_path: Path) -> None:
    told: list[Tried] = []
    people = red_faces(tmp_path / "people", 12, shots=MOST_PICTURES)
    imported = order(tmp_path, people, choosy(), stated=Stated(scale=SCALES["signed"]))
    bundle = import_network(imported, tmp_path / "b", told.extend)
    pipeline = Pipeline(bundle, threads=1)
    files = sorted(people.glob("*/*.png"))
    vectors = np.stack([pipeline.embed(path.read_bytes()) for path in files])
    whose = np.repeat(np.arange(12), MOST_PICTURES)
    assert told[0].eer == cross_compare(vectors, whose).eer()
    assert [tried.way.channels for tried in told] == ["rgb", "bgr"]
    assert told[1].worse_in is not None
    assert told[1].worse_in >= CLEARLY


def test_grey_pictures_do_not_tell_red_from_blue(tmp_path: Path) -> None:
    people = red_faces(tmp_path / "people", 12, grey=True)
    told: list[Tried] = []
    told_why = (
        "pictures of the folder are grey and do not tell rgb from bgr.*say it with --channels, or "
        "name a folder of colour pictures"
    )
    with pytest.raises(InvalidRequest, match=told_why):
        import_network(
            order(tmp_path, people, choosy(), stated=Stated(scale=SCALES["unit"])),
            tmp_path / "b",
            told.extend,
        )
    assert len(told) == 2  # the table was shown all the same
    assert not (tmp_path / "b").exists()


def test_grey_pictures_find_the_scale_where_the_channels_are_said(tmp_path: Path) -> None:
    people = red_faces(tmp_path / "people", 12, grey=True)
    imported = order(tmp_path, people, choosy(), stated=Stated(channels="rgb"))
    bundle = import_network(imported, tmp_path / "b")
    assert bundle.manifest.provenance["preprocessing"] == "nchw, rgb, unit"


def test_pictures_are_grey_where_no_pixel_is_coloured() -> None:
    crops = np.repeat(np.arange(48, dtype=np.uint8).reshape(1, 4, 12, 1), 3, axis=3)
    assert is_grey(crops)
    crops[0, 3, 11, 2] += 1
    assert not is_grey(crops)


def test_rubbish_is_passed_over_when_ways_are_tried(tmp_path: Path) -> None:
    clean, people = red_faces(tmp_path / "clean", 12), red_faces(tmp_path / "people", 13)
    for person in range(12):
        (people / f"p{person:02}" / "x.png").write_bytes(b"rubbish")
    for shot in range(1, 5):
        (people / "p12" / f"{shot}.png").write_bytes(b"rubbish")  # one usable picture is left
    crops, whose = some(people_of(people), CROPPER)
    of_clean, owners = some(people_of(clean), CROPPER)
    np.testing.assert_array_equal(whose, owners)
    np.testing.assert_array_equal(crops, of_clean)
    unusable: list[Unusable] = []
    bundle = import_network(
        order(tmp_path, people, choosy(), stated=Stated(scale=SCALES["unit"])),
        tmp_path / "b",
        tell_unusable=unusable.extend,
    )
    assert bundle.manifest.provenance["preprocessing"] == "nchw, rgb, unit"
    assert len(unusable) == 16
    assert unusable[0] == Unusable("p00/x.png", "IMAGE_UNDECODABLE")
    assert bundle.calibration is not None
    assert bundle.calibration.pictures.genuine_comparisons == 12 * 10
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "16 of the 77 pictures could not be used and were left out: 16 IMAGE_UNDECOD" in card


def test_the_pictures_that_calibrate_take_the_path_of_serving(tmp_path: Path) -> None:
    people = folder_of_people(tmp_path / "people", people=3, shots=3)
    stated = Stated("nchw", "rgb", SCALES["raw"])
    bundle = import_network(order(tmp_path, people, build(), stated=stated), tmp_path / "b")
    pipeline = Pipeline(bundle, threads=1)
    found = embed(pipeline, people_of(people))
    served = [pipeline.embed(path.read_bytes()) for path in sorted(people.glob("*/*.png"))]
    np.testing.assert_array_equal(found.vectors, np.stack(served))
    assert (found.unusable, found.left_out()) == ((), None)
    whole = calibrate(
        found.vectors,
        found.people,
        bundle.manifest.fingerprint,
        dataset_digest=found.dataset_digest,
    )
    assert bundle.calibration == whole
    files = [path.read_bytes() for path in sorted(people.glob("*/*.png"))]
    assert found.dataset_digest == digest(np.repeat(range(3), 3).tolist(), files)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (0, r"none of the 9 pictures can be used, .*; mend or replace person-0/0\.png \(IMAGE_.*4"),
        (3, "only 3 of the 9 pictures can be used, and error rates need two people, and two"),
    ],
)
def test_a_folder_of_rubbish_is_refused(tmp_path: Path, kept: int, message: str) -> None:
    people = folder_of_people(tmp_path / "people", people=3, shots=3)
    for path in sorted(people.glob("*/*.png"))[: 9 - kept]:
        path.write_bytes(b"rubbish")
    stated = Stated("nchw", "rgb", SCALES["raw"])
    with pytest.raises(DatasetInvalid, match=message):
        import_network(order(tmp_path, people, build(), stated=stated), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_picture_that_the_system_does_not_give_is_left_out(tmp_path: Path) -> None:
    people = folder_of_people(tmp_path / "people", people=3, shots=3)
    listed = people_of(people)
    (people / "person-2" / "1.png").unlink()
    stated = Stated("nchw", "rgb", SCALES["raw"])
    bundle = import_network(order(tmp_path, None, build(), stated=stated), tmp_path / "b")
    found = embed(Pipeline(bundle, threads=1), listed)
    assert found.unusable == (Unusable("person-2/1.png", "UNREADABLE"),)
    assert found.left_out() == (
        "1 of the 9 pictures could not be used and were left out: 1 UNREADABLE."
    )


def test_few_people_prove_nothing(tmp_path: Path) -> None:
    people = red_faces(tmp_path / "people", 9)
    with pytest.raises(DatasetInvalid, match="9 people with two or more pictures are too few"):
        import_network(order(tmp_path, people, choosy()), tmp_path / "b")


def test_scales_that_make_no_difference_to_a_network_need_not_be_told_apart(tmp_path: Path) -> None:
    foreign, (crops, people) = without_bias(tmp_path), noise()
    ways = list(Stated(channels="rgb").ways(foreign))
    best, *others = attempt(foreign, ways, False, crops, people)
    twin = {"unit": "raw", "raw": "unit", "signed": "signed128", "signed128": "signed"}
    alike = {str(other.way.scale) for other in others if other.alike}
    assert twin[str(best.way.scale)] in alike
    assert len(alike) < 4


def without_bias(folder: Path) -> Foreign:
    """A network to which the size of its numbers is the same."""
    model = build()
    for tensor in model.graph.initializer:
        if "bias" in tensor.name:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.float32), tensor.name))
    return read(write(folder, model))


def noise() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    looks = random.integers(256, size=(10, 1, 12, 10, 3))
    shots = looks + random.normal(0, 50, size=(10, 4, 12, 10, 3))
    crops = np.clip(shots, 0, 255).astype(np.uint8).reshape(40, 12, 10, 3)
    return crops, np.repeat(np.arange(10), 4)


BEST = Tried(Preprocessing("nchw", "rgb", SCALES["signed"]), 0.02)
OTHER = Tried(Preprocessing("nchw", "bgr", SCALES["signed"]), 0.03, worse_in=0.9)


@pytest.mark.parametrize(
    "other",
    [
        replace(OTHER, worse_in=CLEARLY),
        replace(OTHER, worse_in=0.1, alike=True),
        replace(OTHER, eer=None, worse_in=None, problem="does not run"),
    ],
    ids=["clearly worse", "alike", "does not run"],
)
def test_the_best_is_taken_where_no_other_can_be_meant(other: Tried) -> None:
    assert choose([BEST, other]) == BEST.way


def test_the_best_is_not_taken_where_another_is_nearly_as_good() -> None:
    with pytest.raises(InvalidRequest, match=r"\(EER 2\.00%\).*\(EER 3\.00%\).*worse in 90%"):
        choose([BEST, OTHER])
    other = replace(OTHER, way=Preprocessing("nchw", "bgr", SCALES["unit"]))
    with pytest.raises(InvalidRequest, match="say it with --channels and --scale, or name a"):
        choose([BEST, other])


def test_a_network_that_runs_in_no_way_is_refused(tmp_path: Path) -> None:
    crops, people = noise()
    foreign = read(write(tmp_path, build(size=("h", "w"))))
    with pytest.raises(BundleInvalid, match="runs in no way that was tried: the network cannot"):
        attempt(foreign, Stated().ways(foreign), False, crops[:, :8], people)


def test_nothing_is_tried_where_everything_was_said(tmp_path: Path) -> None:
    told: list[Tried] = []
    stated = Stated("nchw", "rgb", SCALES["raw"])
    people = folder_of_people(tmp_path / "people", people=3, shots=2)
    imported = order(tmp_path, people, build(), stated=stated)
    bundle = import_network(imported, tmp_path / "b", told.extend)
    assert told == []
    assert bundle.calibration is not None
    assert "as its importer stated: nchw, rgb, raw" in (bundle.folder / "MODEL_CARD.md").read_text()
    with pytest.raises(OutputExists):
        import_network(imported, tmp_path / "b")


def test_without_people_the_card_says_that_nothing_was_measured(tmp_path: Path) -> None:
    stated = Stated("nchw", "rgb", SCALES["raw"])
    bundle = import_network(order(tmp_path, None, build(), stated=stated), tmp_path / "b")
    assert bundle.calibration is None
    assert "without a folder of people" in (bundle.folder / "MODEL_CARD.md").read_text()
    assert Embedder.of(bundle, threads=1).precision == "float32"


@pytest.mark.parametrize(
    ("people", "shots", "message"),
    [
        (1, 3, "has 1 person; error rates need two people"),
        (3, 1, "has 3 people, none with a second picture; error rates need two pictures of one"),
    ],
)
def test_a_folder_that_gives_no_rates_is_refused(
    tmp_path: Path, people: int, shots: int, message: str
) -> None:
    folder = folder_of_people(tmp_path / "people", people=people, shots=shots)
    stated = Stated("nchw", "rgb", SCALES["raw"])
    with pytest.raises(DatasetInvalid, match=message):
        import_network(order(tmp_path, folder, build(), stated=stated), tmp_path / "b")


def test_the_share_of_halves_is_that_of_a_slow_count(tmp_path: Path) -> None:
    foreign, (crops, people) = read(write(tmp_path)), noise()
    ways = [Preprocessing("nchw", "rgb", SCALES[name]) for name in ("signed", "unit")]
    best, other = attempt(foreign, ways, False, crops, people)
    random = np.random.default_rng(0)
    worse = 0
    for _ in range(HALVES):
        half = set(random.permutation(10)[:5].tolist())
        rows = [row for row, person in enumerate(people.tolist()) if person in half]
        rates = []
        for each in (best, other):
            vectors = by_hand(tmp_path / "net.onnx", crops[rows], each.way)
            rates.append(cross_compare(vectors, people[rows]).eer())
        worse += rates[1] > rates[0]
    assert other.worse_in == pytest.approx(worse / HALVES, abs=0.01)  # but for ties by rounding


def test_a_bundle_that_is_there_is_kept_before_anything_is_tried(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputExists):
        import_network(order(tmp_path, tmp_path / "nobody", build()), tmp_path / "b")


class TestPhotographs:
    """A network that takes aligned faces, and a folder of whole photographs."""

    STATED = Stated("nchw", "rgb", SCALES["raw"])

    @pytest.fixture
    def photographs(self, tmp_path: Path) -> Path:
        folder = folder_of_photographs(tmp_path / "people", people=4, shots=3)
        (folder / "p1" / "9.png").write_bytes(file(photograph()))
        return folder

    @pytest.fixture
    def detector(self, monkeypatch: pytest.MonkeyPatch) -> Patches:
        found = Patches()
        monkeypatch.setattr(importing, "detector_for", lambda alignment, model: found)
        return found

    def test_ways_are_tried_on_the_crops_of_the_faces(self, photographs: Path) -> None:
        cropper = Cropper(SIDE, SIDE, "arcface-5", Patches())
        crops, whose = some(people_of(photographs), cropper)
        files = [path for path in sorted(photographs.glob("*/*.png")) if path.name != "9.png"]
        expected = [cropper.cut(path.read_bytes(), "reject").taken[0].crop for path in files]
        np.testing.assert_array_equal(crops, np.stack(expected))
        np.testing.assert_array_equal(whose, np.repeat(np.arange(4), 3))

    @pytest.mark.usefixtures("detector")
    def test_the_calibration_is_of_the_faces_as_they_will_be_served(
        self, tmp_path: Path, photographs: Path
    ) -> None:
        unusable: list[Unusable] = []
        bundle = import_network(
            order(tmp_path, photographs, build(), stated=self.STATED, alignment="arcface-5"),
            tmp_path / "b",
            tell_unusable=unusable.extend,
        )
        assert unusable == [Unusable("p1/9.png", "NO_FACE")]
        found = embed(Pipeline(bundle, 1, detector=Patches()), people_of(photographs))
        whole = calibrate(
            found.vectors,
            found.people,
            bundle.manifest.fingerprint,
            dataset_digest=found.dataset_digest,
        )
        assert bundle.calibration == whole

    def test_a_missing_detector_is_told_before_anything_is_tried(
        self, tmp_path: Path, photographs: Path
    ) -> None:
        gone = tmp_path / "gone.onnx"
        imported = order(tmp_path, photographs, build(), alignment="arcface-5", detector_model=gone)
        with pytest.raises(DetectorMissing, match="mien models fetch yunet"):
            import_network(imported, tmp_path / "b")
        assert not (tmp_path / "b").exists()

    def test_without_people_no_detector_is_needed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "none"))
        imported = order(tmp_path, None, build(), stated=self.STATED, alignment="arcface-5")
        bundle = import_network(imported, tmp_path / "b")
        assert bundle.manifest.input.alignment == "arcface-5"
