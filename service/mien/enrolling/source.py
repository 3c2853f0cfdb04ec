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

    def doubt(self) -> str:
        """What is odd about the folder, as a sentence; empty if nothing is.

        One person alone, who has folders and no picture, mostly is a folder of people.
        """
        alone = None if self.is_list else folder.only_person(self.path)
        if alone is None:
            return ""
        return (
            f"all pictures are taken for one person's, {alone.name}; if the folders in it are the "
            f"people, name {alone}"
        )

    def count(self) -> int:
        """How many items there are, without opening a picture."""
        return sum(1 for _ in self.items())
