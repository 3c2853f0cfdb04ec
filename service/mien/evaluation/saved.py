"""Saved vectors: an evaluation that can be repeated without the pictures.

    vectors       float32 [N, D], unit rows
    people        str [N], whose each is
    names         str [N], optional: `<person>/<picture>`, each once
    fingerprint   str: the bundle that made the vectors
    failures      str [F, 3], optional: person, name and reason of each picture that gave no vector

An unknown or missing array is an error.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from mien.errors import DatasetInvalid, ModelMismatch, OutputExists
from mien.evaluation.destination import check_writable
from mien.evaluation.listing import listing
from mien.evaluation.samples import Failure, Samples
from mien.files import replaced
from mien.model.bundle import Bundle
from mien.model.golden import UNIT_TOLERANCE

SUFFIX = ".npz"
REQUIRED = frozenset({"vectors", "people", "fingerprint"})
OPTIONAL = frozenset({"names", "failures"})

Arrays = Mapping[str, npt.NDArray[np.generic]]


def check_new(path: Path) -> None:
    """Raises OutputExists; DatasetInvalid if it is not named as `read` will want it, or has no
    folder to lie in; InvalidRequest if it cannot be written.
    """
    if path.suffix != SUFFIX:
        raise DatasetInvalid(f"saved vectors end in {SUFFIX}; {path} does not")
    check_writable(path)
    if not path.parent.is_dir():
        raise DatasetInvalid(f"{path} cannot be written: there is no folder {path.parent}; make it")
    if path.exists():
        raise OutputExists(f"{path} exists already; choose another name or remove it")


def save(samples: Samples, fingerprint: str, path: Path) -> None:
    """Write samples to a new file, all or nothing. Raises as `check_new`."""
    check_new(path)
    arrays: dict[str, Any] = {
        "vectors": samples.vectors,
        "people": samples.people,
        "names": samples.names,
        "fingerprint": np.array(fingerprint),
    }
    if samples.failures is not None:
        rows = [(failure.person, failure.name, failure.reason) for failure in samples.failures]
        arrays["failures"] = np.array(rows, dtype=np.str_).reshape(-1, 3)
    with replaced(path) as file:
        np.savez(file, **arrays)


def read(path: Path, bundle: Bundle) -> Samples:
    """Read samples that a bundle made.

    Raises DatasetInvalid (no such file, or not of this form) and ModelMismatch (another bundle's).
    """
    arrays = _arrays(path)
    _check_keys(path, arrays)
    made_by = str(_text(path, arrays, "fingerprint", 0))
    if made_by != bundle.manifest.fingerprint:
        raise ModelMismatch(
            f"{path} holds vectors of the model {made_by[:12]}, {bundle.folder} is "
            f"{bundle.manifest.fingerprint[:12]}; vectors of two models cannot be compared"
        )
    vectors = _vectors(path, arrays, bundle.manifest.input.dim)
    people = _text(path, arrays, "people", 1)
    numbered = np.array([f"{person}/#{row}" for row, person in enumerate(people)])
    names = _text(path, arrays, "names", 1) if "names" in arrays else numbered
    for key, array in (("people", people), ("names", names)):
        if len(array) != len(vectors):
            raise DatasetInvalid(f"{path}: {len(vectors)} vectors, but {len(array)} {key}")
    if len(set(names.tolist())) != len(names):
        raise DatasetInvalid(f"{path}: a name in `names` occurs twice")
    return Samples(vectors, people, names, _failures(path, arrays))


def _arrays(path: Path) -> Arrays:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise DatasetInvalid(f"{path} does not exist") from None
    except (ValueError, TypeError, AttributeError, OSError, EOFError, BadZipFile) as error:
        raise DatasetInvalid(f"{path} holds no saved vectors: {error}") from None


def _check_keys(path: Path, arrays: Arrays) -> None:
    missing, unknown = REQUIRED - arrays.keys(), arrays.keys() - REQUIRED - OPTIONAL
    if missing:
        raise DatasetInvalid(f"{path} lacks {listing(missing)}")
    if unknown:
        raise DatasetInvalid(f"{path} has the unknown arrays {listing(unknown)}; take them out")


def _vectors(path: Path, arrays: Arrays, dim: int) -> npt.NDArray[np.float32]:
    found = arrays["vectors"]
    if found.dtype != np.float32 or found.ndim != 2 or found.shape[1] != dim or not len(found):
        raise DatasetInvalid(
            f"{path}: `vectors` is {found.dtype} {found.shape}; expected float32 (N, {dim})"
        )
    vectors = np.asarray(found, dtype=np.float32)
    off = np.abs(np.linalg.norm(vectors, axis=1) - 1)
    bad = np.flatnonzero(~(off <= UNIT_TOLERANCE))  # not finite, too
    if len(bad):
        raise DatasetInvalid(
            f"{path}: {len(bad)} of {len(vectors)} vectors are not of unit length, the first in "
            f"row {bad[0]}"
        )
    return vectors


def _text(path: Path, arrays: Arrays, key: str, dimensions: int) -> npt.NDArray[np.str_]:
    found = arrays[key]
    if found.dtype.kind != "U" or found.ndim != dimensions:
        raise DatasetInvalid(
            f"{path}: `{key}` is {found.dtype} of {found.ndim} dimensions; expected str of "
            f"{dimensions}"
        )
    return np.asarray(found, dtype=np.str_)


def _failures(path: Path, arrays: Arrays) -> tuple[Failure, ...] | None:
    if "failures" not in arrays:
        return None
    rows = _text(path, arrays, "failures", 2)
    if rows.shape[1] != 3:
        raise DatasetInvalid(f"{path}: `failures` is of shape {rows.shape}; expected (F, 3)")
    return tuple(Failure(*row) for row in rows.tolist())
