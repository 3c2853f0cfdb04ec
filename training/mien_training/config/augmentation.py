"""What happens to a training picture."""

from pydantic import Field

from mien_training.config.table import LEAST_SIDE, Probability, Settings, Share


class Flip(Settings):
    """Mirror left and right."""

    probability: Probability = 0.5
    """0.5 in He et al. 2018 (Bag of Tricks)."""


class Rotation(Settings):
    """Turn about the middle; the corners are filled by reflection."""

    probability: Probability = 0.5
    """Ours."""
    degrees: float = Field(default=10.0, gt=0, le=180)
    """The most, either way; ours."""


class Shift(Settings):
    """Move and scale; what comes in from outside is filled by reflection."""

    probability: Probability = 0.5
    """Ours."""
    distance: float = Field(default=0.05, ge=0, le=0.5)
    """The most, either way, as a share of the side; ours."""
    scale: Share = 0.1
    """The most that the picture shrinks or grows, as a share of its size; ours."""


class RandomCrop(Settings):
    """Keep a part of the picture and scale it back."""

    probability: Probability = 0.5
    """Ours."""
    smallest: float = Field(default=0.8, gt=0, le=1)
    """The least area that is kept, as a share of the picture; ours."""


class ColourShift(Settings):
    """Change brightness, saturation and hue."""

    probability: Probability = 0.5
    """Ours."""
    brightness: Share = 0.2
    """The most, either way, as a share of it; ours."""
    saturation: Share = 0.2
    """The most, either way, as a share of it; ours."""
    hue: float = Field(default=0.02, ge=0, le=0.5)
    """The most, either way, as a share of the colour circle; ours."""


class Greyscale(Settings):
    """Take the colour away, as from an infrared or an old picture."""

    probability: Probability = 0.1
    """Ours; 0.2 in SimCLR (Chen et al. 2020)."""


class Blur(Settings):
    """Blur by a Gaussian, as out of focus."""

    probability: Probability = 0.2
    """Ours; 0.5 in SimCLR (Chen et al. 2020)."""
    deviation: float = Field(default=2.0, gt=0.1, le=20)
    """The most, in pixels; the least is 0.1. Both are from SimCLR (Chen et al. 2020), there at 224
    px: at 112 px the same deviation is twice as large a share of the side."""


class DownScaling(Settings):
    """Shrink the picture and scale it back, as from a far camera."""

    probability: Probability = 0.2
    """0.2 in AdaFace (Kim et al. 2022)."""
    smallest: float = Field(default=0.2, ge=1 / LEAST_SIDE, lt=1)
    """The least side that it shrinks to, as a share of the picture's; 0.2 in the code of AdaFace
    (Kim et al. 2022). 1/16 leaves a pixel of the smallest crop that is allowed."""


class Jpeg(Settings):
    """Compress the picture as JPEG and decode it."""

    probability: Probability = 0.2
    """Ours."""
    lowest: int = Field(default=30, ge=1, le=95)
    """The least quality, on the scale to 100 of libjpeg; ours. The most is 95."""


class Noise(Settings):
    """Add Gaussian noise, the same to all three channels."""

    probability: Probability = 0.5
    """Ours."""
    deviation: float = Field(default=0.04, gt=0, le=1)
    """The most; 1 is the range from black to white. Ours."""


class InformationLoss(Settings):
    """Blot out one rectangle (Zhong et al. 2017, random erasing; DeVries and Taylor 2017)."""

    probability: Probability = 0.5
    """0.5 in random erasing (Zhong et al. 2017)."""
    largest: float = Field(default=0.3, gt=0, le=1)
    """The longest side of the rectangle, as a share of the picture's; ours. The shortest is a third
    of it, which is ours too."""


class Contrast(Settings):
    """Strengthen or weaken the contrast."""

    probability: Probability = 0.5
    """Ours."""
    strength: float = Field(default=0.3, gt=0, lt=1)
    """The most, either way, as a share of it; ours."""


class Augmentation(Settings):
    """What happens to a training picture, in this order: the scene, the lens, the sensor, the file.

    A table that is not there is off. A recipe without this one has `flip` alone; with an empty one
    it has nothing.
    """

    flip: Flip | None = None
    rotation: Rotation | None = None
    shift: Shift | None = None
    random_crop: RandomCrop | None = None
    colour_shift: ColourShift | None = None
    contrast: Contrast | None = None
    greyscale: Greyscale | None = None
    blur: Blur | None = None
    down_scaling: DownScaling | None = None
    noise: Noise | None = None
    jpeg: Jpeg | None = None
    information_loss: InformationLoss | None = None
