"""What is wrong with a store is found, refused and said."""

import random
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mien.errors import MienError, StoreInvalid
from mien.gallery import integrity
from mien.gallery.galleries import Galleries
from mien.gallery.records import About, Check, Quality, SubjectChange
from mien.gallery.store import checksum
from mien.gallery.store.store import FILE_NAME
from mien.matching.metrics import Vectors
from tests.gallery.looks import DIM, MODEL, looks, sha256

PEOPLE = 30


def fill(data: Path) -> None:
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM, labels={"site": "rome"})
        galleries.create("empty", MODEL, DIM)
        for number, look in enumerate(looks(2 * PEOPLE)):
            about = About(
                f"Person {number}",
                {"site": "rome", "n": str(number)},
                f"form {number}",
                f"{number}.jpg",
                Quality(score=0.5),
            )
            subject_id = f"person{number % PEOPLE}"
            galleries.enroll("staff", subject_id, look, MODEL, sha256(look), about=about)
        galleries.delete_subject("staff", "person3")


def spoil(data: Path, *statements: str) -> None:
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def check(data: Path) -> Check:
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        return integrity.check(connection)


def test_a_sound_store_is_counted_and_nothing_is_found(data: Path) -> None:
    fill(data)
    expected = Check(galleries=2, subjects=29, samples=58, free_slots=2, findings=())
    assert check(data) == expected
    with Galleries(data) as galleries:
        assert galleries.check() == expected


def test_every_kind_of_change_leaves_a_sound_store(galleries: Galleries) -> None:
    for number, look in enumerate(looks(10)):
        about = About(labels={"n": str(number)})
        galleries.enroll("staff", f"p{number % 4}", look, MODEL, sha256(look), about=about)
    galleries.update("staff", labels={"a": "b"})
    galleries.update_subject("staff", "p0", SubjectChange(display_name="x", labels={"y": "z"}))
    galleries.matched("staff", ["p0", "p1"])
    galleries.flush_matches()
    galleries.merge_subjects("staff", "p0", ["p1"])
    galleries.delete_samples("staff", [galleries.get_subject("staff", "p2").samples[0].sample_id])
    galleries.delete_subject("staff", "p3")
    assert galleries.check().findings == ()


SPOILED = [
    ("UPDATE samples SET created = created + 1 WHERE key = 5", "sample", "checksum differs"),
    ("UPDATE samples SET source = 'x' WHERE key = 5", "sample", "checksum differs"),
    ("UPDATE samples SET expires = 7 WHERE key = 5", "sample", "checksum differs"),
    ("UPDATE samples SET quality = NULL WHERE key = 5", "sample", "checksum differs"),
    ("UPDATE vectors SET content_sha256 = zeroblob(32) WHERE slot = 9", "sample", "checksum"),
    ("UPDATE subjects SET subject_id = 'eve' WHERE key = 5", "subject", "'eve' is damaged"),
    ("UPDATE subjects SET consent_ref = 'x' WHERE key = 5", "subject", "is damaged"),
    ("UPDATE subjects SET expires = 5 WHERE key = 5", "subject", "is damaged"),
    ("UPDATE subject_labels SET value = 'x' WHERE subject = 5", "subject", "is damaged"),
    ("DELETE FROM subject_labels WHERE subject = 5 AND name = 'n'", "subject", "is damaged"),
    ("UPDATE galleries SET max_age = 5 WHERE key = 1", "gallery", "'staff' is damaged"),
    ("UPDATE gallery_labels SET value = 'x'", "gallery", "'staff' is damaged"),
    ("DELETE FROM samples WHERE key = 5", "slot", "slot .* is neither free nor a sample's"),
    ("DELETE FROM samples WHERE subject = 5", "subject", "'person4' has no sample"),
    ("INSERT INTO free_slots VALUES (9, 64)", "slot", "slot 9 is free and a sample's"),
    (
        "UPDATE vectors SET vector = x'00000001' WHERE slot IN (SELECT slot FROM free_slots)",
        "slot",
        "is free and holds something",
    ),
    ("DELETE FROM subjects WHERE key = 5", "reference", "samples refers to no row of subjects"),
    ("DELETE FROM vectors WHERE slot = 9", "reference", "samples refers to no row of vectors"),
]


@pytest.mark.parametrize(("statement", "what", "message"), SPOILED)
def test_a_row_that_was_tampered_with_is_found(
    data: Path, statement: str, what: str, message: str
) -> None:
    fill(data)
    spoil(data, statement)
    found = [each for each in check(data).findings if each.what == what]
    assert any(re.search(message, each.message) for each in found)


def plant(path: Path, slot: int, vector: Vectors) -> None:
    """Put a vector into the place of another, with a checksum that is right."""
    with closing(sqlite3.connect(path)) as connection:
        checksum.teach(connection)
        connection.execute("UPDATE vectors SET vector = ? WHERE slot = ?", (vector.tobytes(), slot))
        connection.execute(
            "UPDATE samples SET crc = (SELECT crc_of_sample(sample_id, created, source, quality,"
            " expires, content_sha256, vector) FROM vectors WHERE vectors.slot = samples.slot)"
            " WHERE slot = ?",
            (slot,),
        )
        connection.commit()


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.full(DIM, np.nan, np.float32), "norm nan"),
        (np.full(DIM, np.inf, np.float32), "norm inf"),
        (np.zeros(DIM, np.float32), "norm 0"),
        (np.full(DIM, 0.5, np.float32), "norm 2"),
        (np.ones(1, np.float32), f"not of {DIM}"),
    ],
)
def test_a_vector_that_never_should_have_come_in_is_found(
    data: Path, vector: Vectors, message: str
) -> None:
    """With a checksum that is right, as a wrong program would write it."""
    fill(data)
    plant(data / FILE_NAME, 9, vector)
    (finding,) = check(data).findings
    assert finding.what == "vector"
    assert message in finding.message


def test_a_damaged_vector_is_refused_at_the_start(data: Path) -> None:
    fill(data)
    spoil(data, "UPDATE vectors SET vector = zeroblob(64) WHERE slot = 9")
    with pytest.raises(StoreInvalid, match="is damaged in the store: its checksum differs"):
        Galleries(data)


READS: list[Callable[[Galleries], object]] = [
    lambda galleries: galleries.get_subject("staff", "person4"),
    lambda galleries: galleries.subjects("staff"),
    lambda galleries: galleries.export_subject("staff", "person4"),
]


@pytest.mark.parametrize("read", READS)
def test_a_damaged_description_is_refused_when_it_is_read(
    data: Path, read: Callable[[Galleries], object]
) -> None:
    fill(data)
    spoil(data, "UPDATE subjects SET display_name = 'Somebody' WHERE subject_id = 'person4'")
    with Galleries(data) as galleries, pytest.raises(StoreInvalid, match="'person4' is damaged"):
        read(galleries)


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def rows_of(path: Path) -> list[list[tuple[object, ...]]]:
    """Everything in the file that means something to us and has a checksum or a structure."""
    tables = {
        "galleries": "key, gallery_id, model_fingerprint, dim, created, max_age, since_last_match",
        "gallery_labels": "*",
        "subjects": "key, gallery, subject_id, display_name, consent_ref, created, expires",
        "subject_labels": "*",
        "samples": "*",
        "vectors": "*",
        "free_slots": "*",
    }
    with closing(sqlite3.connect(path)) as connection:
        return [
            connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608
            for table, columns in tables.items()
        ]


def test_a_flipped_bit_is_found_or_harmless(data: Path) -> None:
    """Anywhere in the file: either it is found, or every row is as it was."""
    fill(data)
    path = data / FILE_NAME
    dice = random.Random(0)  # noqa: S311 - no secret
    sound, found = rows_of(path), 0
    for _ in range(400):
        bit = dice.randrange(8 * path.stat().st_size)
        flip(path, bit)
        try:
            if check(data).findings:
                found += 1
            else:
                assert rows_of(path) == sound, f"bit {bit} of byte {bit // 8}"
        except (sqlite3.DatabaseError, MienError):
            found += 1
        flip(path, bit)
    assert rows_of(path) == sound
    assert found > 50


def test_a_torn_page_is_said_and_refused(data: Path) -> None:
    fill(data)
    with (data / FILE_NAME).open("r+b") as file:
        for page in range(1, 40):
            file.seek(4096 * page)
            file.write(b"\xff" * 100)
    assert {"structure", "unreadable"} & {each.what for each in check(data).findings}
    with pytest.raises(StoreInvalid, match="restore it from a copy, or choose another data dir"):
        Galleries(data)


def test_a_checksum_of_labels_does_not_depend_on_their_order() -> None:
    one, other = {"a": "1", "b": "\N{EURO SIGN}"}, {"b": "\N{EURO SIGN}", "a": "1"}
    assert checksum.write_labels(one) == checksum.write_labels(other)
    assert checksum.write_labels(one) != checksum.write_labels({"a": "1"})


def test_a_checksum_depends_on_each_part_of_a_sample() -> None:
    row = ("id", 1, "source", '{"score": 1}', 2, b"d" * 32, b"v" * 64)
    others = ("ie", 2, "sourc", None, None, b"d" * 31 + b"e", b"v" * 63 + b"w")
    crcs = {checksum.of_sample(*row)}
    for position, other in enumerate(others):
        changed = [*row]
        changed[position] = other
        crcs.add(checksum.of_sample(*changed))  # type: ignore[arg-type]
    assert len(crcs) == 1 + len(row)
