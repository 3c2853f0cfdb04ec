"""The file that an index is saved to."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.gallery.index import index_file
from mien.gallery.index.index_file import CHUNK, Identity, Saved, Unusable
from mien.gallery.index.ivf import InvertedFile
from mien.gallery.index.rows import Rows
from tests.gallery.people import people

IDENTITY = Identity("staff", 1_700_000_000_000_000, "sha256:model-a", 16)
COUNT = 2 * CHUNK + 77
SUBJECTS, VECTORS = people(COUNT)
INVERTED = InvertedFile.build(VECTORS)


def rows_of(count: int = COUNT) -> Rows:
    rows = Rows(16)
    rows.add(np.arange(100, 100 + count), SUBJECTS[:count], VECTORS[:count])
    return rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "staff.index"


@pytest.fixture(params=[None, INVERTED], ids=["exact", "inverted"])
def inverted(request: pytest.FixtureRequest) -> InvertedFile | None:
    file: InvertedFile | None = request.param
    return file


def saved(path: Path, inverted: InvertedFile | None) -> Path:
    index_file.write(path, IDENTITY, 7, rows_of(), inverted)
    return path


def assert_same(read: Saved, rows: Rows, inverted: InvertedFile | None) -> None:
    assert read.revision == 7
    np.testing.assert_array_equal(read.rows.keys, rows.keys)
    np.testing.assert_array_equal(read.rows.vectors, rows.vectors)
    assert (read.inverted is None) == (inverted is None)
    if read.inverted and inverted:
        assert (read.inverted.probes, read.inverted.recall) == (inverted.probes, inverted.recall)
        assert read.inverted.trained() == inverted.trained()
        np.testing.assert_array_equal(read.inverted.list_of, inverted.list_of)
        np.testing.assert_array_equal(read.inverted.codes(), inverted.codes())


def test_what_is_read_is_what_was_written(path: Path, inverted: InvertedFile | None) -> None:
    assert_same(index_file.read(saved(path, inverted), IDENTITY), rows_of(), inverted)


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_any_number_of_samples_is_written(path: Path, count: int) -> None:
    index_file.write(path, IDENTITY, 7, rows_of(count), None)
    assert_same(index_file.read(path, IDENTITY), rows_of(count), None)


def test_a_file_is_for_its_owner_alone_and_nothing_lies_beside_it(path: Path) -> None:
    old_mask = os.umask(0)
    try:
        saved(path, None)
    finally:
        os.umask(old_mask)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "change",
    [
        {"gallery_id": "staff2"},
        {"created": IDENTITY.created + 1},
        {"model_fingerprint": "sha256:model-b"},
        {"dim": 8},
    ],
)
def test_a_file_of_something_else_is_not_used(path: Path, change: dict[str, object]) -> None:
    saved(path, None)
    with pytest.raises(Unusable, match="it is of Identity"):
        index_file.read(path, replace(IDENTITY, **change))  # type: ignore[arg-type]


def test_every_flipped_bit_of_a_small_file_is_found(path: Path) -> None:
    index_file.write(path, IDENTITY, 7, rows_of(3), None)
    content = path.read_bytes()
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        with pytest.raises(Unusable):
            index_file.read(path, IDENTITY)


def test_flipped_bits_of_a_large_file_are_found(path: Path) -> None:
    content = saved(path, INVERTED).read_bytes()
    for at in np.random.default_rng(0).integers(0, len(content), 60).tolist():
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        with pytest.raises(Unusable):
            index_file.read(path, IDENTITY)


@pytest.mark.parametrize(
    "use",
    [
        lambda path: index_file.read(path, IDENTITY),
        lambda path: index_file.erase(path, np.array([101])),
    ],
)
def test_a_file_that_is_cut_or_longer_is_not_used(path: Path, use: object) -> None:
    assert callable(use)
    content = saved(path, INVERTED).read_bytes()
    for length in [*range(0, 700, 7), *range(700, len(content), 9973), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(Unusable):
            use(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(Unusable, match="bytes and should have"):
        use(path)


def test_a_file_of_another_version_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(index_file, "FORMAT", 99)
        saved(path, None)
    with pytest.raises(Unusable, match="another version of mien"):
        index_file.read(path, IDENTITY)


def test_what_faiss_cannot_read_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(InvertedFile, "trained", lambda _: b"of another faiss")
        saved(path, INVERTED)
    with pytest.raises(Unusable, match="inverted file cannot be read"):
        index_file.read(path, IDENTITY)


def test_what_is_erased_is_zeros_and_the_rest_is_as_it_was(
    path: Path, inverted: InvertedFile | None
) -> None:
    gone = [0, 5, CHUNK - 1, CHUNK, COUNT - 1]
    size = saved(path, inverted).stat().st_size
    index_file.erase(path, np.array([*(100 + row for row in gone), 99, 10**9]))
    content, read = path.read_bytes(), index_file.read(path, IDENTITY)
    for row in gone:
        vector = VECTORS[row].tobytes()
        assert not any(vector[at : at + 8] in content for at in range(0, len(vector), 8))
    stay = np.setdiff1d(np.arange(COUNT), gone)
    assert len(content) == size
    np.testing.assert_array_equal(read.rows.keys, rows_of().keys)
    np.testing.assert_array_equal(read.rows.vectors[stay], VECTORS[stay])
    assert not read.rows.vectors[gone].any()
    if inverted and read.inverted:
        np.testing.assert_array_equal(read.inverted.codes()[stay], inverted.codes()[stay])
        assert not read.inverted.codes()[gone].any()
        assert not read.inverted.list_of[gone].any()


def test_erasing_is_durable_before_it_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    saved(path, None)
    monkeypatch.setattr(os, "fsync", synced.append)
    index_file.erase(path, np.array([101]))
    assert len(synced) == 1


def test_an_erasure_cut_short_is_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(path, None)
    write = os.pwrite

    def die_before_the_checksum(file: int, content: bytes, at: int) -> int:
        if len(content) == index_file.CRC.size:
            raise KeyboardInterrupt
        return write(file, content, at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", die_before_the_checksum)
        with pytest.raises(KeyboardInterrupt):
            index_file.erase(path, np.array([101]))
    with pytest.raises(Unusable, match="checksum of some of its samples"):
        index_file.read(path, IDENTITY)


def test_there_is_nothing_to_erase_where_there_is_no_file(path: Path) -> None:
    index_file.erase(path, np.array([101]))
    assert not path.exists()


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = saved(path, None).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            index_file.write(path, IDENTITY, 8, rows_of(5), None)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_strays_are_removed_and_nothing_else(path: Path) -> None:
    saved(path, None)
    names = ["gone.index", "staff.index.partial", "mien.sqlite3", "staff.index.json", "index"]
    for name in names:
        (path.parent / name).write_text("")
    index_file.remove_strays(path.parent, {"staff"})
    left = {each.name for each in path.parent.iterdir()}
    assert left == {"staff.index", "mien.sqlite3", "staff.index.json", "index"}
