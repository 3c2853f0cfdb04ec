"""A run to a bundle, and the bundle read back."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mien.dataset import digest
from mien.errors import BundleInvalid, DatasetInvalid, InvalidRequest, OutputExists, RunInvalid
from mien.matching.metrics import cross_compare
from mien.model.bundle import load
from mien.model.cost import Cost, costs_of
from mien.model.embedder import Embedder
from mien.model.golden import TOLERANCE, golden_crops
from mien.model.pipeline import Pipeline
from mien.model.proof import prove
from mien_training import data as folders
from mien_training import export as sealing
from mien_training.embed import embed
from mien_training.export import Export, Form, Label, export
from mien_training.fit import fit
from mien_training.run import load_run
from tests.faces import encoded, folder_of_people
from tests.training.recipes import small


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("learned")
    folder = folder_of_people(home / "people", people=6, shots=4)
    return fit(folder, small(home, "validation_people=0.5"), home / "run")


@pytest.fixture(scope="module")
def sealed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return export(run, tmp_path_factory.mktemp("sealed") / "small", Label("small", "CC0-1.0"))


@pytest.fixture(scope="module")
def in_int8(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    out = tmp_path_factory.mktemp("sealed") / "int8"
    return export(run, out, Label("int8", "CC0-1.0"), form=Form(int8=True))


def test_the_bundle_gives_the_vectors_of_the_network(run: Path, sealed: Export) -> None:
    crops = np.random.default_rng(0).integers(256, size=(37, 16, 16, 3), dtype=np.uint8)
    bundle = Embedder.of(sealed.bundle).embed(crops)
    assert np.abs(bundle - embed(load_run(run).network, crops)).max() <= 1e-5
    assert 0 < sealed.max_difference <= 1e-5


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("variant", ["sealed", "in_int8"])
def test_any_batch_size_gives_the_same_vectors(
    request: pytest.FixtureRequest, variant: str, threads: int
) -> None:
    crops = np.random.default_rng(1).integers(256, size=(70, 16, 16, 3), dtype=np.uint8)
    embedder = Embedder.of(request.getfixturevalue(variant).bundle, threads)
    alone = np.concatenate([embedder.embed(crop[None]) for crop in crops])
    for size in (2, 3, 5, 8, 17, 63, 64, 65, 70):
        np.testing.assert_allclose(embedder.embed(crops[:size]), alone[:size], rtol=0, atol=1e-6)


def test_it_is_calibrated_on_the_people_held_out_of_learning(run: Path, sealed: Export) -> None:
    calibration = sealed.bundle.calibration
    assert calibration
    assert calibration.identities == len(load_run(run).validation_people) == 3
    assert calibration.pictures.genuine_comparisons == 3 * 6
    assert calibration.pictures.impostor_comparisons == 3 * 16
    assert [curve.samples for curve in calibration.curves] == [1, 2]
    loaded = load_run(run)
    held_out = folders.load(loaded.data, loaded.recipe.crop).crops.of(loaded.validation_people)
    images = (image.tobytes() for image in held_out.images)
    assert calibration.dataset_digest == digest(held_out.labels.tolist(), images)


def test_the_bundle_tells_where_it_comes_from(sealed: Export) -> None:
    manifest = load(sealed.bundle.folder).manifest
    assert (manifest.name, manifest.license) == ("small", "CC0-1.0")
    assert manifest.provenance["train_people"] == "3"
    assert '"epochs":2' in manifest.provenance["recipe"]
    card = (sealed.bundle.folder / "MODEL_CARD.md").read_text()
    assert "3 people whom the network never learned from" in card
    assert "3 pairs of people; they support no FMR below 1 (it takes 6 more for 1 in 10" in card
    assert "FMR of 1 " not in card
    assert "rule of three on pairs of people" in card
    assert "A subject of 2 samples: 3 people" in card
    assert "CC0-1.0" in card


def test_exported_again_it_is_the_same_model_and_names_no_folder_of_its_maker(
    run: Path, sealed: Export, tmp_path: Path
) -> None:
    again = export(run, tmp_path / "again", Label("other name", "MIT"))
    assert again.bundle.manifest.fingerprint == sealed.bundle.manifest.fingerprint
    network = sealed.bundle.network.read_bytes()
    assert str(Path(sealing.__file__).parent).encode() not in network
    assert b"stack_trace" not in network


def test_golden_crops_show_nobody(run: Path, sealed: Export) -> None:
    golden = sealed.bundle.golden.crops
    crop = load_run(run).recipe.crop
    np.testing.assert_array_equal(golden, golden_crops(crop.height, crop.width))


def test_a_served_picture_takes_the_same_path(sealed: Export) -> None:
    vector = Pipeline(load(sealed.bundle.folder)).embed(encoded(3, 3))
    assert vector.shape == (8,)


def test_a_bundle_that_is_there_is_kept(run: Path, sealed: Export) -> None:
    with pytest.raises(OutputExists):
        export(run, sealed.bundle.folder, Label("small", "CC0-1.0"))
    load(sealed.bundle.folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunInvalid, match="holds no run"):
        export(tmp_path, tmp_path / "a" / "out", Label("x", "x"))
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_have_changed_or_moved_are_refused_until_they_are_named(
    run: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(load_run(run).data, tmp_path / "moved"))
    assert export(run, tmp_path / "a", Label("a", "x"), data=moved).bundle.calibration
    (moved / "person-0" / "0.png").write_bytes(encoded(50, 0))
    with pytest.raises(DatasetInvalid, match="have changed"):
        export(run, tmp_path / "b", Label("b", "x"), data=moved)
    assert not (tmp_path / "b").exists()


def test_a_network_that_onnx_computes_otherwise_is_refused_and_nothing_is_left(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(*_: object) -> np.ndarray:
        return np.zeros((1, 8), np.float32)

    monkeypatch.setattr(sealing, "embed", other)
    with pytest.raises(BundleInvalid, match="differ from the network"):
        export(run, tmp_path / "out", Label("x", "x"))
    assert not (tmp_path / "out").exists()


def test_without_people_of_validation_it_is_not_calibrated(tmp_path: Path) -> None:
    folder = folder_of_people(tmp_path / "people", people=4, shots=3)
    run = fit(folder, small(tmp_path, "validation_people=0"), tmp_path / "run")
    assert export(run, tmp_path / "b", Label("b", "x")).bundle.calibration is None


def test_a_nan_producing_network_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_run(run)
    with torch.no_grad():
        next(loaded.network.parameters()).fill_(float("nan"))
    monkeypatch.setattr(sealing, "load_run", lambda _: loaded)
    with pytest.raises(BundleInvalid, match="NaN or infinite"):
        export(run, tmp_path / "out", Label("x", "x"))
    assert not (tmp_path / "out").exists()


def test_an_int8_network_is_a_model_of_its_own_that_names_the_one_it_came_from(
    sealed: Export, in_int8: Export
) -> None:
    own, origin = in_int8.bundle.manifest, sealed.bundle.manifest
    assert (own.precision, origin.precision) == ("int8", "float32")
    assert own.fingerprint != origin.fingerprint
    assert own.provenance["float32_fingerprint"] == origin.fingerprint
    assert own.provenance["int8_crops"] == "12"
    assert own.provenance["int8_layers"] == "1 of 3"
    assert in_int8.bundle.calibration
    assert in_int8.bundle.calibration.model_fingerprint == own.fingerprint
    assert Embedder.of(in_int8.bundle).check(in_int8.bundle.golden) == 0
    claims = [proof.claim for proof in prove(in_int8.bundle.folder)]
    assert claims[-1] == "alone or in a batch"
    assert sorted(path.name for path in in_int8.bundle.folder.parent.iterdir()) == ["int8"]


def test_int8_changes_the_vectors_a_little(sealed: Export, in_int8: Export) -> None:
    crops = np.random.default_rng(2).integers(256, size=(40, 16, 16, 3), dtype=np.uint8)
    before, after = (Embedder.of(each.bundle).embed(crops) for each in (sealed, in_int8))
    cosines = np.sum(before * after, axis=1)
    assert 0.99 < cosines.min() < 1 - 1e-7
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-6)


def test_its_cost_is_that_of_both_networks_on_the_people_held_out(
    run: Path, sealed: Export, in_int8: Export
) -> None:
    learned = load_run(run)
    held_out = folders.load(learned.data, learned.recipe.crop).crops.of(learned.validation_people)
    before, after = (
        cross_compare(Embedder.of(each.bundle).embed(held_out.images), held_out.labels)
        for each in (sealed, in_int8)
    )
    assert in_int8.costs[0] == Cost(None, before.eer(), after.eer())
    for cost in in_int8.costs[1:]:
        assert cost.rate is not None
        assert cost.float32 == before.fnmr_at_fmr(cost.rate)
        assert cost.int8 == after.fnmr_at_fmr(cost.rate)
    card = (in_int8.bundle.folder / "MODEL_CARD.md").read_text()
    assert f"| EER | {before.eer():.4f} | {after.eer():.4f} |" in card
    assert "Nothing is claimed about its speed" in card
    assert costs_of(in_int8.bundle.manifest) == in_int8.costs
    assert costs_of(sealed.bundle.manifest) == ()
    assert sealed.costs == ()
    assert "int8" not in (sealed.bundle.folder / "MODEL_CARD.md").read_text()


def test_only_the_middle_of_the_network_is_quantised(in_int8: Export) -> None:
    graph = onnx.load(in_int8.bundle.network).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    weighted = [node for node in graph.node if node.op_type in {"Conv", "Gemm", "MatMul"}]
    inner = [made_by.get(node.input[0]) == "DequantizeLinear" for node in weighted]
    weights = list(dict.fromkeys(node.input[1] for node in weighted))
    assert [made_by.get(name) == "DequantizeLinear" for name in weights] == [False, True, False]
    assert sum(inner) == 2  # of the crop and of its mirror image
    assert {node.op_type for node in graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    kinds = [each.data_type for each in graph.initializer if each.name.endswith("_quantized")]
    assert onnx.TensorProto.INT8 in kinds


def test_other_kernels_for_int8_stay_within_the_tolerance(in_int8: Export) -> None:
    """Without fused kernels onnxruntime computes what int8 means in float32, as another machine."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(str(in_int8.bundle.network), options)
    golden = in_int8.bundle.golden
    (vectors,) = plain.run(None, {"crops": golden.crops})
    assert np.abs(vectors - golden.vectors).max() <= TOLERANCE["int8"]


def test_int8_without_people_of_validation_has_no_cost_to_tell(tmp_path: Path) -> None:
    folder = folder_of_people(tmp_path / "people", people=4, shots=3)
    run = fit(folder, small(tmp_path, "validation_people=0"), tmp_path / "run")
    exported = export(run, tmp_path / "b", Label("b", "x"), form=Form(int8=True))
    assert exported.costs == ()
    assert exported.bundle.calibration is None
    assert "Not measured" in (exported.bundle.folder / "MODEL_CARD.md").read_text()


def test_a_recipe_of_aligned_crops_seals_a_bundle_that_asks_for_photographs(
    tmp_path: Path, sealed: Export
) -> None:
    people = folder_of_people(tmp_path / "people", people=5, shots=3)
    recipe = small(tmp_path, 'crop.alignment="arcface-5"', "epochs=1")
    fit(people, recipe, tmp_path / "run")
    bundle = export(tmp_path / "run", tmp_path / "bundle", Label("aligned", "none")).bundle
    assert bundle.manifest.input.alignment == "arcface-5"
    assert sealed.bundle.manifest.input.alignment == "none"


@pytest.fixture(scope="module")
def halved(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    out = tmp_path_factory.mktemp("sealed") / "halved"
    return export(run, out, Label("halved", "CC0-1.0"), form=Form(half=True))


def test_weights_of_sixteen_bits_change_the_vectors_a_little_and_are_computed_with_in_float32(
    sealed: Export, halved: Export
) -> None:
    crops = np.random.default_rng(3).integers(256, size=(40, 16, 16, 3), dtype=np.uint8)
    before, after = (Embedder.of(each.bundle).embed(crops) for each in (sealed, halved))
    assert 0 < np.abs(before - after).max() < 5e-3
    assert halved.half_difference is not None
    assert 0 < halved.half_difference < 5e-3
    assert sealed.half_difference is None
    assert halved.max_difference <= 1e-5  # from the network that was rounded
    manifest = halved.bundle.manifest
    assert manifest.precision == "float32"
    assert "float16" in manifest.provenance["weights"]
    assert "weights" not in sealed.bundle.manifest.provenance
    assert manifest.fingerprint != sealed.bundle.manifest.fingerprint
    assert [proof.claim for proof in prove(halved.bundle.folder)][-1] == "alone or in a batch"


def test_weights_of_sixteen_bits_take_half_the_bytes_of_matrices_and_kernels(
    sealed: Export, halved: Export
) -> None:
    one, other = (
        {each.name: each for each in onnx.load(bundle.network).graph.initializer}
        for bundle in (sealed.bundle, halved.bundle)
    )
    assert one.keys() == other.keys()
    narrowed = {name for name, each in other.items() if each.data_type == onnx.TensorProto.FLOAT16}
    assert narrowed
    for name, each in one.items():
        is_wide = each.data_type == onnx.TensorProto.FLOAT and len(each.dims) > 1
        assert (name in narrowed) == is_wide, name
    assert all(2 * len(other[name].raw_data) == len(one[name].raw_data) for name in narrowed)


def test_onnxruntime_widens_the_weights_once_when_it_loads_them(
    halved: Export, tmp_path: Path
) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "as-run.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(halved.bundle.network), options)
    run = onnx.load(tmp_path / "as-run.onnx").graph
    weights = {each.name for each in run.initializer}
    assert not [n for n in run.node if n.op_type == "Cast" and n.input[0] in weights]
    assert onnx.TensorProto.FLOAT16 not in {each.data_type for each in run.initializer}


def test_mirror_images_are_switched_at_the_export(
    run: Path, sealed: Export, tmp_path: Path
) -> None:
    alone = export(run, tmp_path / "alone", Label("alone", "x"), form=Form(flip=False)).bundle
    crops = np.random.default_rng(4).integers(256, size=(5, 16, 16, 3), dtype=np.uint8)
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])
    both, one = Embedder.of(sealed.bundle), Embedder.of(alone)
    assert np.abs(both.embed(crops) - both.embed(mirrored)).max() < 1e-5
    assert np.abs(one.embed(crops) - one.embed(mirrored)).max() > 1e-2
    assert '"flip_embedding":false' in alone.manifest.provenance["recipe"]
    assert '"flip_embedding":true' in sealed.bundle.manifest.provenance["recipe"]
    assert alone.calibration
    assert alone.calibration.model_fingerprint == alone.manifest.fingerprint
    assert load_run(run).recipe.flip_embedding


def test_half_and_int8_exclude_each_other() -> None:
    with pytest.raises(InvalidRequest, match="exclude each other"):
        Form(half=True, int8=True)
