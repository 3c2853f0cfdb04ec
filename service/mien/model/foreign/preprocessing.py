"""What stands between a uint8 RGB crop and the numbers that a foreign network takes."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from mien.errors import InvalidRequest

Layout: TypeAlias = Literal["nchw", "nhwc"]
Channels: TypeAlias = Literal["rgb", "bgr"]
Colour: TypeAlias = tuple[float, float, float]
"""For red, green and blue, in this order whatever the order of the network's channels."""

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
CHANNELS: tuple[Channels, ...] = get_args(Channels)


@dataclass(frozen=True)
class Scale:
    """Pixels 0 … 255 to (pixel - mean) / std."""

    mean: Colour
    std: Colour

    def __post_init__(self) -> None:
        if 0 in self.std:
            raise InvalidRequest(f"--std {self.std} divides by 0; give what the network was fed")
        if not all(map(math.isfinite, (*self.mean, *self.std))):
            raise InvalidRequest(f"--mean {self.mean} and --std {self.std} must be finite numbers")

    def __str__(self) -> str:
        """The name of the preset that it is, or its numbers."""
        named = next((name for name, scale in SCALES.items() if scale == self), None)
        return named or f"(pixel - {_short(self.mean)}) / {_short(self.std)}"


def _short(colour: Colour) -> str:
    values = [f"{value:g}" for value in colour]
    return values[0] if len(set(values)) == 1 else f"[{', '.join(values)}]"


def _grey(value: float) -> Colour:
    return (value, value, value)


SCALES: dict[str, Scale] = {
    "unit": Scale(_grey(0.0), _grey(255.0)),
    "signed": Scale(_grey(127.5), _grey(127.5)),
    "signed128": Scale(_grey(127.5), _grey(128.0)),
    "imagenet": Scale((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "raw": Scale(_grey(0.0), _grey(1.0)),
}
"""By the name of `--scale`: 0 … 1; -1 … 1; the same by 128, as MTCNN and the first ArcFace had it;
torchvision's mean and standard deviation (0.485, 0.456, 0.406; 0.229, 0.224, 0.225) times 255;
0 … 255."""


@dataclass(frozen=True)
class Preprocessing:
    """One full answer to how a network wants its crops."""

    layout: Layout
    channels: Channels
    scale: Scale

    def __str__(self) -> str:
        return f"{self.layout}, {self.channels}, {self.scale}"
