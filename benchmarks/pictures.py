"""Pictures to send: smooth patterns that weigh as much as aligned faces do, about 7 kB."""

import cv2
import numpy as np

PICTURE_SIDE, COARSE, NOISE = 112, 8, 6.0


def jpegs(count: int, seed: int = 0) -> list[bytes]:
    """Pictures as a caller sends them, all different."""
    dice = np.random.default_rng(seed)
    return [_jpeg(dice) for _ in range(count)]


def _jpeg(dice: np.random.Generator) -> bytes:
    coarse = dice.uniform(0, 255, (COARSE, COARSE, 3)).astype(np.float32)
    size = (PICTURE_SIDE, PICTURE_SIDE)
    smooth = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(smooth + dice.normal(0, NOISE, smooth.shape), 0, 255).astype(np.uint8)
    done, content = cv2.imencode(".jpg", noisy)
    assert done
    return bytes(content.tobytes())
