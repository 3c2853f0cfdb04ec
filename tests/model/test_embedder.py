import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from mien.errors import BundleInvalid
from mien.model.bundle import Bundle
from mien.model.embedder import Embedder
from mien.model.golden import Golden
from mien.model.sealing import seal
from tests import bundles
from tests.faces import picture
from tests.model.watched import Watched
from tests.server.waiting import wait

CROPS = np.stack([picture(person, 3) for person in range(40)])


def test_vectors_are_unit_float32(bundle: Bundle) -> None:
    vectors = Embedder.of(bundle).embed(CROPS)
    assert vectors.shape == (40, bundles.DIM)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 16])
def test_a_vector_is_the_same_alone_or_in_any_batch(bundle: Bundle, size: int) -> None:
    embedder = Embedder.of(bundle)
    together = embedder.embed(CROPS)
    for start in range(0, 40, size):
        part = embedder.embed(CROPS[start : start + size])
        np.testing.assert_allclose(part, together[start : start + size], atol=1e-6)


def test_golden_vectors_of_another_network_are_refused(bundle: Bundle) -> None:
    embedder = Embedder.of(bundle)
    with pytest.raises(BundleInvalid, match="misses its golden vectors by"):
        embedder.check(Golden(CROPS, np.roll(embedder.embed(CROPS), 1, axis=0)))


def test_golden_vectors_that_are_not_finite_are_refused(bundle: Bundle) -> None:
    embedder = Embedder.of(bundle)
    vectors = embedder.embed(CROPS)
    vectors[0, 0] = np.nan
    with pytest.raises(BundleInvalid, match="a golden vector is not finite: 1 of 640 values"):
        embedder.check(Golden(CROPS, vectors))


@pytest.mark.parametrize(
    "golden",
    [
        Golden(CROPS, np.zeros((40, 3), np.float32)),
        Golden(CROPS, np.zeros((40, bundles.DIM), np.float64)),
        Golden(CROPS[:, :9], np.zeros((40, bundles.DIM), np.float32)),
        Golden(CROPS.astype(np.float32), np.zeros((40, bundles.DIM), np.float32)),
        Golden(CROPS[:0], np.zeros((0, bundles.DIM), np.float32)),
    ],
    ids=["vectors", "vectors' type", "crops", "crops' type", "none"],
)
def test_golden_arrays_of_another_shape_or_type_are_refused(bundle: Bundle, golden: Golden) -> None:
    with pytest.raises(BundleInvalid, match="a golden array is"):
        Embedder.of(bundle).check(golden)


def test_more_crops_than_one_call_takes_are_embedded_all_the_same(bundle: Bundle) -> None:
    many = np.concatenate([CROPS] * 4)
    vectors = Embedder.of(bundle).embed(many)
    np.testing.assert_allclose(vectors[120:], vectors[:40], atol=1e-6)


def test_no_crops_give_no_vectors(bundle: Bundle) -> None:
    assert Embedder.of(bundle).embed(CROPS[:0]).shape == (0, bundles.DIM)


def test_a_network_without_numbers_is_refused_when_it_is_sealed(tmp_path: Path) -> None:
    draft = replace(bundles.draft(), network=bundles.without_numbers())
    with pytest.raises(BundleInvalid, match="a golden vector is not finite"):
        seal(draft, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_height": 40}, r"'crops' has the shape \['batch', 48, 48, 3\].* 40, 48, 3\]"),
        ({"crop_width": 32}, r"by the manifest it should be \['batch', 48, 32, 3\]"),
        ({"dim": 9}, r"'embeddings' has the shape \['batch', 16\].*\['batch', 9\]"),
    ],
)
def test_a_network_of_another_shape_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(BundleInvalid, match=message):
        Embedder(bundles.network(), bundles.SPEC.model_copy(update=changes))


def test_a_network_for_one_crop_at_a_time_is_refused() -> None:
    model = onnx.load_from_string(bundles.network())
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(BundleInvalid, match=r"'crops' has the shape \[1, 48, 48, 3\]"):
        Embedder(model.SerializeToString(), bundles.SPEC)


def test_a_network_of_another_signature_is_refused() -> None:
    foreign = onnx.load_from_string(bundles.network())
    foreign.graph.input[0].name = foreign.graph.node[0].input[0] = "pixels_in"
    with pytest.raises(BundleInvalid, match=r"takes \[\('pixels_in'"):
        Embedder(foreign.SerializeToString(), bundles.SPEC)


def test_bytes_that_are_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="cannot be loaded"):
        seal(replace(bundles.draft(), network=b"no network"), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


TASKS = Path("/proc/self/task")
two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


@two_cores
def test_each_thread_of_a_run_is_kept_on_its_core(bundle: Bundle) -> None:
    mine, before = os.sched_getaffinity(0), set(TASKS.iterdir())
    first, second = sorted(mine)[:2]
    embedder = Embedder.of(bundle, 2, (first, second))
    begun = set(TASKS.iterdir()) - before
    wait(lambda: {second} in [os.sched_getaffinity(int(each.name)) for each in begun])
    embedder._session = watched = Watched(embedder._session)
    embedder.embed(CROPS[:1])
    assert watched.cores == [{first}]
    assert os.sched_getaffinity(0) == mine


@two_cores
def test_a_thread_gets_back_the_cores_that_were_its_own(bundle: Bundle) -> None:
    mine = os.sched_getaffinity(0)
    embedder = Embedder.of(bundle, 2, sorted(mine)[:2])
    os.sched_setaffinity(0, {max(mine)})  # as if a container had fewer for a while
    try:
        embedder.embed(CROPS[:1])
        assert os.sched_getaffinity(0) == mine
    finally:
        os.sched_setaffinity(0, mine)


@two_cores
@pytest.mark.parametrize("taken", [[0], [0, 1]], ids=["the caller's", "all"])
def test_cores_that_are_taken_away_cost_nothing_but_time(bundle: Bundle, taken: list[int]) -> None:
    mine, there_is_none = os.sched_getaffinity(0), 8191
    cores = [there_is_none if n in taken else core for n, core in enumerate(sorted(mine)[:2])]
    vectors = Embedder.of(bundle, 2, cores).embed(CROPS)
    assert os.sched_getaffinity(0) == mine
    np.testing.assert_allclose(vectors, Embedder.of(bundle).embed(CROPS), atol=1e-6)
