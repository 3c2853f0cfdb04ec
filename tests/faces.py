"""People made by code: one is a smooth random pattern, a picture of one a noisy, shifted copy."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 48


def picture(person: int, shot: int, noise: float = 20.0) -> NDArray[np.uint8]:
    """uint8 [48, 48, 3] RGB; the same arguments give the same pixels."""
    look = np.random.default_rng([person, 7])
    coarse = look.uniform(0, 255, (6, 6, 3)).astype(np.float32)
    pattern = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    moment = np.random.default_rng([person, shot, 11])
    shifted = np.roll(pattern, moment.integers(-2, 3, 2), axis=(0, 1))
    noisy = shifted + moment.normal(0, noise, shifted.shape)
    return np.asarray(np.clip(noisy, 0, 255), dtype=np.uint8)


def encoded(person: int, shot: int, suffix: str = ".png") -> bytes:
    """A picture as a file holds it."""
    done, content = cv2.imencode(suffix, picture(person, shot)[:, :, ::-1])
    assert done
    return content.tobytes()


def folder_of_people(folder: Path, people: int, shots: int, first: int = 0) -> Path:
    """Write `<folder>/person-<n>/<shot>.png` and return the folder."""
    for person in range(first, first + people):
        home = folder / f"person-{person}"
        home.mkdir(parents=True)
        for shot in range(shots):
            (home / f"{shot}.png").write_bytes(encoded(person, shot))
    return folder
