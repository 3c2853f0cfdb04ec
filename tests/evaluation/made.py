"""Samples and pair files made by code."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mien.evaluation.samples import Failure, Samples
from tests.faces import encoded
from tests.processes import run


def samples(
    people: int, shots: int, spread: float = 0.5, seed: int = 0, failures: tuple[Failure, ...] = ()
) -> Samples:
    """float32 [people * shots, 8] unit vectors, each near that of its person."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, 1, 8))
    raw = (centres + spread * random.normal(size=(people, shots, 8))).reshape(-1, 8)
    whose = np.repeat(np.arange(people), shots)
    return Samples(
        vectors=(raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32),
        people=np.array([f"person-{person:03}" for person in whose]),
        names=np.array([f"person-{p:03}/{row % shots}.png" for row, p in enumerate(whose)]),
        failures=failures,
    )


def lfw_folder(folder: Path, people: int, shots: int) -> Path:
    """Write `<folder>/P-<n>/P-<n>_000<i>.png` and return the folder."""
    for person in range(people):
        home = folder / f"P-{person}"
        home.mkdir(parents=True)
        for shot in range(1, shots + 1):
            (home / f"P-{person}_{shot:04}.png").write_bytes(encoded(person, shot))
    return folder


def pair_lines(people: int, shots: int, count: int, random: np.random.Generator) -> list[str]:
    """So many matched and so many mismatched lines."""
    lines = []
    for _ in range(count):
        i, j = random.choice(shots, 2, replace=False) + 1
        lines.append(f"P-{random.integers(people)}\t{i}\t{j}")
    for _ in range(count):
        a, b = random.choice(people, 2, replace=False)
        i, j = random.integers(1, shots + 1, 2)
        lines.append(f"P-{a}\t{i}\tP-{b}\t{j}")
    return lines


def evaluated(*arguments: str | Path) -> dict[str, Any]:
    """What `mien evaluate … --json` prints."""
    finished = run("mien", "evaluate", *arguments, "--json", timeout=240)
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout)
    return found
