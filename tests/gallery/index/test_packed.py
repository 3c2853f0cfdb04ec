"""Blocks of codes against lists."""

from typing import Any

import faiss
import numpy as np
import pytest

from mien.gallery.index.packed import BLOCK, PackedLists
from tests.gallery.looks import looks

LISTS, WIDTH = 4, 8


def an_index() -> Any:
    quantizer = faiss.IndexFlatIP(64)
    index = faiss.IndexIVFPQFastScan(quantizer, 64, LISTS, 2 * WIDTH, 4)
    index.by_residual = False
    index.train(looks(500, dim=64))
    return index


INDEX = an_index()


@pytest.fixture
def packed() -> PackedLists:
    INDEX.reset()
    return PackedLists(INDEX)


def some_codes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, WIDTH), dtype=np.uint8)


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_what_is_put_into_a_list_is_in_it(packed: PackedLists, count: int) -> None:
    rows, codes = np.arange(count) * 7, some_codes(count)
    packed.append(2, rows, codes)
    read = packed.read(2)
    np.testing.assert_array_equal(read[0], rows)
    np.testing.assert_array_equal(read[1], codes)
    assert [len(packed.read(number)[0]) for number in range(LISTS)] == [0, 0, count, 0]


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_changes_leaves_what_a_list_has(packed: PackedLists, seed: int) -> None:
    dice = np.random.default_rng(seed)
    rows, codes = np.empty(0, np.int64), some_codes(0)
    for turn in range(40):
        new = int(dice.integers(0, 50))
        packed.append(1, 1000 * turn + np.arange(new), some_codes(new, turn))
        rows = np.concatenate([rows, 1000 * turn + np.arange(new)])
        codes = np.concatenate([codes, some_codes(new, turn)])
        stay = dice.random(len(rows)) < 0.7
        if turn % 2:
            rows, codes = rows[stay], codes[stay]
            packed.replace(1, rows, codes)
        np.testing.assert_array_equal(packed.read(1)[0], rows)
        np.testing.assert_array_equal(packed.read(1)[1], codes)


def test_behind_the_end_of_a_list_are_zeros(packed: PackedLists) -> None:
    """faiss ORs what it adds into them, and a code that was removed is to be gone."""
    packed.append(0, np.arange(BLOCK), np.full((BLOCK, WIDTH), 255, np.uint8))
    packed.replace(0, np.arange(3), np.full((3, WIDTH), 255, np.uint8))
    blocks = packed._blocks(0)
    assert np.unpackbits(blocks).sum() == 3 * WIDTH * 8


def test_what_was_read_outlives_the_list(packed: PackedLists) -> None:
    packed.append(0, np.arange(5), some_codes(5))
    rows, codes = packed.read(0)
    packed.replace(0, np.empty(0, np.int64), some_codes(0))
    np.testing.assert_array_equal(rows, np.arange(5))
    np.testing.assert_array_equal(codes, some_codes(5))
