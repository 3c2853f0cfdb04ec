"""What is enrolled from: a folder of people, or a list of pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mien.enrolling import folder, manifest
from mien.enrolling.items import Item
from mien.errors import DatasetInvalid


@dataclass(frozen=True)
class Source:
    """A folder, or a manifest by its suffix."""

    path: Path

    @property
    def is_list(self) -> bool:
        return self.path.suffix.lower() in manifest.SUFFIXES and not self.path.is_dir()

    @property
    def root(self) -> Path:
        """What the keys of its pictures are relative to."""
        return self.path.parent if self.is_list else self.path

    def items(self) -> Iterator[Item]:
        """Its pictures, in order, a few at a time. Raises DatasetInvalid."""
        if self.is_list:
            return manifest.read(self.path)
        if self.path.is_file():
            raise DatasetInvalid(
                f"{self.path} is no folder of people, and no list of pictures by its name "
                f"({', '.join(manifest.SUFFIXES)})"
            )
        return folder.scan(self.path)

    def count(self) -> int:
        """How many items there are, without opening a picture."""
        return sum(1 for _ in self.items())
