"""A data directory with people in it, as a server or a command finds it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from mien.gallery.galleries import Galleries
from mien.gallery.records import About, Enrolment
from mien.matching.metrics import Vectors
from tests.gallery.looks import looks, sha256

DIM = 16
PEOPLE, EACH = 6, 3
DUE = "due"
"""A subject that is to be forgotten by now."""


def person(number: int) -> Vectors:
    """Looks of one person, of cosine about 0.98 with each other: float32 [EACH, DIM]."""
    raw = looks(PEOPLE, dim=DIM)[number] + 0.1 * looks(EACH, seed=number + 1, dim=DIM)
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


def filled(data: Path, model_fingerprint: str, gallery: str = "staff") -> Path:
    """`p0` to `p5`, of whom p5 is p4 again; p0 has a sample of p1's face more."""
    with Galleries(data) as galleries:
        galleries.create(gallery, model_fingerprint, DIM)
        items = [
            Enrolment(f"p{number}", vector, sha256(vector), About(source=f"{number}.jpg"))
            for number in range(PEOPLE)
            for vector in person(number)
        ]
        again = [near(person(4)[0]), near(person(1)[0])]
        items[-EACH:] = [Enrolment("p5", again[0], sha256(again[0]))]
        items.append(Enrolment("p0", again[1], sha256(again[1])))
        galleries.enroll_many(gallery, items, model_fingerprint)
    return data


def near(vector: Vectors) -> Vectors:
    raw = vector + 0.05 * looks(1, seed=99, dim=DIM)[0]
    return np.asarray(raw / np.linalg.norm(raw), np.float32)


def falls_due(data: Path, model_fingerprint: str, gallery: str = "staff") -> None:
    """Enrol somebody whose time is over."""
    past = datetime.now(UTC) - timedelta(days=1)
    with Galleries(data) as galleries:
        vector = looks(1, seed=7, dim=DIM)[0]
        about = About(expires=past)
        galleries.enroll(gallery, DUE, vector, model_fingerprint, sha256(vector), about=about)
