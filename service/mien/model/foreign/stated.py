"""What the user said of a foreign network, held against what its file says."""

from collections.abc import Iterator
from dataclasses import dataclass

from mien.errors import InvalidRequest
from mien.model.foreign.network import Foreign
from mien.model.foreign.preprocessing import (
    CHANNELS,
    SCALES,
    Channels,
    Layout,
    Preprocessing,
    Scale,
)


@dataclass(frozen=True)
class Stated:
    """None is left open."""

    layout: Layout | None = None
    channels: Channels | None = None
    scale: Scale | None = None
    size: tuple[int, int] | None = None
    """Height and width, where the network takes any."""

    def layouts(self, foreign: Foreign) -> tuple[Layout, ...]:
        """Those that are possible. Raises InvalidRequest if the one stated is not."""
        if self.layout is None:
            return foreign.layouts
        if self.layout not in foreign.layouts:
            raise InvalidRequest(
                f"--layout {self.layout} is not that of the network: it takes {list(foreign.shape)}"
            )
        return (self.layout,)

    def ways(self, foreign: Foreign) -> Iterator[Preprocessing]:
        """Every full answer that agrees with what was said and with the file."""
        for layout in self.layouts(foreign):
            for channels in CHANNELS if self.channels is None else (self.channels,):
                for scale in SCALES.values() if self.scale is None else (self.scale,):
                    yield Preprocessing(layout, channels, scale)

    def unknown(self, foreign: Foreign) -> list[str]:
        """The options without which there is more than one way."""
        known = {
            "--layout": len(self.layouts(foreign)) == 1,
            "--channels": self.channels is not None,
            "--scale": self.scale is not None,
        }
        return [option for option, is_known in known.items() if not is_known]

    def crop(self, foreign: Foreign) -> tuple[int, int]:
        """Height and width of a crop.

        Raises InvalidRequest: neither stated nor fixed, or stated against what is fixed.
        """
        sizes = {foreign.size(layout) for layout in self.layouts(foreign)}
        if len(sizes) > 1:
            raise InvalidRequest(
                f"the network takes {list(foreign.shape)}, which is of one size as nchw and of "
                "another as nhwc; say --layout"
            )
        (own,) = sizes
        height, width = (
            wanted if fixed is None else fixed
            for fixed, wanted in zip(own, self.size or (None, None), strict=True)
        )
        if height is None or width is None:
            raise InvalidRequest(
                f"the network takes pictures of any size, {list(foreign.shape)}; say --size HxW, "
                "that of the crops it learned from"
            )
        if self.size and self.size != (height, width):
            raise InvalidRequest(
                f"--size {self.size[0]}x{self.size[1]} is not that of the network, {height}x{width}"
            )
        return height, width
