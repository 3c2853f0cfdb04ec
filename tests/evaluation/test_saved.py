from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import DatasetInvalid, ModelMismatch, OutputExists
from mien.evaluation import saved
from mien.evaluation.samples import Failure, Samples
from mien.model.bundle import Bundle


@pytest.fixture
def samples(bundle: Bundle) -> Samples:
    raw = np.random.default_rng(0).normal(size=(4, bundle.manifest.input.dim))
    unit = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    return Samples(
        vectors=unit,
        people=np.array(["Anna", "Anna", "Ben", "Ben"]),
        names=np.array(["Anna/1.png", "Anna/2.png", "Ben/1.png", "Ben/2.png"]),
        failures=(Failure("Carla", "Carla/1.png", "IMAGE_UNDECODABLE"),),
    )


def arrays(samples: Samples, bundle: Bundle) -> dict[str, Any]:
    return {
        "vectors": samples.vectors,
        "people": samples.people,
        "fingerprint": np.array(bundle.manifest.fingerprint),
    }


def test_what_is_saved_is_read(samples: Samples, bundle: Bundle, tmp_path: Path) -> None:
    saved.save(samples, bundle.manifest.fingerprint, tmp_path / "v.npz")
    again = saved.read(tmp_path / "v.npz", bundle)
    np.testing.assert_array_equal(again.vectors, samples.vectors)
    assert again.people.tolist() == samples.people.tolist()
    assert again.names.tolist() == samples.names.tolist()
    assert again.failures == samples.failures
    assert [path.name for path in tmp_path.iterdir()] == ["v.npz"]


def test_no_failures_and_unknown_failures_stay_apart(
    samples: Samples, bundle: Bundle, tmp_path: Path
) -> None:
    for failures in ((), None):
        path = tmp_path / f"{failures is None}.npz"
        kept = Samples(samples.vectors, samples.people, samples.names, failures)
        saved.save(kept, bundle.manifest.fingerprint, path)
        assert saved.read(path, bundle).failures == failures


def test_names_are_optional(samples: Samples, bundle: Bundle, tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", **arrays(samples, bundle))
    assert saved.read(tmp_path / "v.npz", bundle).names.tolist() == [
        "Anna/#0", "Anna/#1", "Ben/#2", "Ben/#3",
    ]  # fmt: skip


def test_nothing_is_overwritten(samples: Samples, tmp_path: Path) -> None:
    (tmp_path / "v.npz").write_text("mine")
    with pytest.raises(OutputExists):
        saved.save(samples, "f", tmp_path / "v.npz")
    assert (tmp_path / "v.npz").read_text() == "mine"
    with pytest.raises(DatasetInvalid, match=r"end in \.npz"):
        saved.save(samples, "f", tmp_path / "v.txt")


def test_vectors_of_another_model_are_refused(
    samples: Samples, bundle: Bundle, tmp_path: Path
) -> None:
    saved.save(samples, "0123456789abcdef", tmp_path / "v.npz")
    with pytest.raises(ModelMismatch, match=r"model 0123456789ab, .* cannot be compared"):
        saved.read(tmp_path / "v.npz", bundle)


def changed(row: int, value: float) -> Any:
    def change(vectors: Any) -> Any:
        vectors = vectors.copy()
        vectors[row] = value
        return vectors

    return change


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("vectors", lambda v: v.astype(np.float64), "is float64"),
        ("vectors", lambda v: v[:, :3], r"expected float32 \(N, 16\)"),
        ("vectors", lambda v: v[:0], "expected float32"),
        ("vectors", lambda v: v[0], "expected float32"),
        ("vectors", lambda v: 2 * v, "4 of 4 vectors are not of unit length"),
        ("vectors", changed(2, np.nan), "1 of 4 vectors .* row 2"),
        ("people", lambda p: p[:3], "4 vectors, but 3 people"),
        ("people", lambda p: np.arange(4), "`people` is int64"),
        ("people", lambda p: p.astype(bytes), "`people` is"),
        ("names", lambda _: np.array(["a", "b", "c", "a"]), "occurs twice"),
        ("names", lambda _: np.array(["a"]), "4 vectors, but 1 names"),
        ("failures", lambda _: np.array([["a", "b"]]), r"expected \(F, 3\)"),
        ("fingerprint", lambda f: f[None], "`fingerprint` is"),
        ("labels", lambda _: np.arange(4), "unknown arrays labels"),
    ],
)
def test_an_array_of_another_form_is_refused(
    samples: Samples, bundle: Bundle, tmp_path: Path, key: str, change: Any, message: str
) -> None:
    whole = arrays(samples, bundle)
    np.savez(tmp_path / "v.npz", **(whole | {key: change(whole.get(key))}))
    with pytest.raises(DatasetInvalid, match=message):
        saved.read(tmp_path / "v.npz", bundle)


@pytest.mark.parametrize("key", ["vectors", "people", "fingerprint"])
def test_a_missing_array_is_named(
    samples: Samples, bundle: Bundle, tmp_path: Path, key: str
) -> None:
    whole = arrays(samples, bundle)
    del whole[key]
    np.savez(tmp_path / "v.npz", **whole)
    with pytest.raises(DatasetInvalid, match=f"lacks {key}"):
        saved.read(tmp_path / "v.npz", bundle)


def test_a_file_that_holds_no_arrays_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    for content in (b"", b"text", b"PK\x03\x04 cut"):
        (tmp_path / "v.npz").write_bytes(content)
        with pytest.raises(DatasetInvalid, match="holds no saved vectors"):
            saved.read(tmp_path / "v.npz", bundle)
    np.save(tmp_path / "one.npy", np.arange(3))
    with pytest.raises(DatasetInvalid, match="holds no saved vectors"):
        saved.read(tmp_path / "one.npy", bundle)
