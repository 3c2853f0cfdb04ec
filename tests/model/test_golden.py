"""Crops that show nobody, and the vectors that go with them."""

from pathlib import Path

import numpy as np
import pytest

from mien.errors import BundleInvalid
from mien.gallery.embedding import UNIT_TOLERANCE as AT_THE_DOOR
from mien.model.golden import UNIT_TOLERANCE, Golden, check_unit, golden_crops
from mien.model.manifest import InputSpec

SPEC = InputSpec(crop_height=20, crop_width=14, alignment="none", dim=5)


def golden() -> Golden:
    return Golden(golden_crops(20, 14), np.eye(8, 5, dtype=np.float32)[[0, 1, 2, 3, 4, 0, 1, 2]])


def test_crops_are_noise_from_fine_to_coarse_and_always_the_same() -> None:
    assert golden_crops(20, 14).shape == (8, 20, 14, 3)
    crops = golden_crops(64, 64)
    assert crops.dtype == np.uint8
    np.testing.assert_array_equal(crops, golden_crops(64, 64))
    steps = [np.abs(np.diff(crop.astype(int), axis=0)).mean() for crop in crops[:5]]
    assert steps == sorted(steps, reverse=True)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "golden.npz").write_bytes(golden().to_bytes())
    read = Golden.read(tmp_path / "golden.npz")
    np.testing.assert_array_equal(read.crops, golden().crops)
    np.testing.assert_array_equal(read.vectors, golden().vectors)
    read.check(SPEC)


@pytest.mark.parametrize("size", [0, 1, 40, 300, -200, -1])
def test_a_cut_file_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "golden.npz"
    path.write_bytes(golden().to_bytes()[:size])
    with pytest.raises(BundleInvalid, match=r"golden\.npz is damaged"):
        Golden.read(path)


def test_an_array_alone_and_other_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "alone.npy", golden().vectors)
    np.savez(tmp_path / "others.npz", pictures=golden().crops)
    for name in ("alone.npy", "others.npz"):
        with pytest.raises(BundleInvalid, match=f"{name} is damaged"):
            Golden.read(tmp_path / name)


def test_vectors_of_no_unit_norm_are_refused_and_the_worst_is_told() -> None:
    vectors = golden().vectors.copy()
    assert check_unit(vectors, "a vector") == 0
    vectors[3] *= 1.0005
    assert check_unit(vectors, "a vector") == pytest.approx(5e-4, rel=1e-3)
    vectors[5] *= 0.9
    with pytest.raises(BundleInvalid, match=r"a vector has norm 0\.9, not 1 within 0\.001"):
        check_unit(vectors, "a vector")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_counted(value: float) -> None:
    vectors = golden().vectors.copy()
    vectors[2, 1:3] = value
    with pytest.raises(BundleInvalid, match="a vector is not finite: 2 of 40 values"):
        check_unit(vectors, "a vector")


def test_a_bundle_gives_no_vector_that_a_gallery_would_refuse() -> None:
    assert UNIT_TOLERANCE <= AT_THE_DOOR
