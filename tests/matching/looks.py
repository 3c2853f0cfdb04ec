"""Vectors of people who look more or less alike."""

import numpy as np

from mien.matching.metrics import People, Vectors


def looks(people: int, shots: int, seed: int = 0, spread: float = 1.0) -> tuple[Vectors, People]:
    """Unit vectors [people * shots, 8], in no order, and whose they are; ids are not 0, 1, 2 …"""
    random = np.random.default_rng(seed)
    owners = random.permutation(np.repeat(np.arange(people), shots))
    raw = random.normal(size=(people, 8))[owners] + random.normal(0, spread, (len(owners), 8))
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit.astype(np.float32), owners * 7 + 100


def on_a_grid(vectors: Vectors) -> Vectors:
    """Coordinates in eighths, so that products are exact in any order and similarities tie."""
    return (np.round(vectors * 8) / 8).astype(np.float32)
