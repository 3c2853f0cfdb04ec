"""The file of a run that holds all that was learned and how."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

from mien.errors import RunInvalid
from mien_training.config.recipe import Recipe
from mien_training.learner import State
from mien_training.log import Row
from mien_training.room import CHECKPOINT, room_for

FILE = CHECKPOINT
PARTIAL = f"{FILE}.partial"


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to be used, or to go on after its last whole epoch."""

    recipe: str
    """The effective recipe as JSON."""
    version: str
    """Of mien."""
    data: str
    """The folder of people, absolute."""
    data_digest: str
    """SHA-256 of its names and pictures."""
    train_people: list[str]
    """The class of label 0, 1, … in order."""
    validation_people: list[str]
    epoch: int
    """Whole epochs behind it."""
    network: State
    """The weights that learn."""
    average: State
    """Their moving average, or the same ones where it is off."""
    used: State
    """The weights to embed with: the average, or with early stopping that of the best epoch."""
    losses: State
    """Class heads and centres."""
    optimiser: State
    falls: State
    """Of the learning rate, on a plateau of validation."""
    patience: State
    """Of early stopping."""
    steps: int
    """Behind it."""
    log: list[Row]
    """The rows of log.csv."""
    source: str = ""
    """The `name` of the `mien_training.source` that it started from; "": of fresh weights."""

    def parsed_recipe(self) -> Recipe:
        return Recipe.model_validate_json(self.recipe)

    def refuse_other(self, recipe: Recipe, folder: Path, digest: str, source: str) -> None:
        """Raises RunInvalid: this is of another recipe, data set or source than those named."""
        if self.source != source:
            raise RunInvalid(
                f"the run was begun from {self.source or 'fresh weights'}, and not from "
                f"{source or 'fresh weights'}; resume it as it was begun (--from), or name "
                "another folder to write"
            )
        other = next(_differences(self.parsed_recipe().model_dump(), recipe.model_dump()), None)
        if other:
            key, before, now = other
            raise RunInvalid(
                f"the run was begun with another recipe: {key} was {before} and is {now}; resume "
                "it with the same recipe, or name another folder to write"
            )
        if self.data_digest != digest:
            raise RunInvalid(
                f"the run was begun with other pictures than those of {folder} (SHA-256 "
                f"{self.data_digest[:12]}…, now {digest[:12]}…); put them back as they were, or "
                "name another folder to write"
            )

    def save(self, folder: Path) -> None:
        """Replace the checkpoint in a folder: after a crash it is the old one or the new one.

        Raises StorageFull; the old one is left, if there is one.
        """
        partial = folder / PARTIAL
        with room_for(folder / FILE, folder, self.epoch):
            try:
                with partial.open("wb") as file:
                    torch.save(vars(self), file)
                    file.flush()
                    os.fsync(file.fileno())
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            partial.replace(folder / FILE)


def find(folder: Path) -> Checkpoint | None:
    """The checkpoint of a run, or None where none was written yet. Raises as `load`."""
    return load(folder) if (folder / FILE).is_file() else None


def load(folder: Path) -> Checkpoint:
    """Read the checkpoint of a run.

    Raises RunInvalid: there is none, or it is damaged or of another version of the format.
    """
    path = folder / FILE
    if not path.is_file():
        raise RunInvalid(f"{folder} holds no run: there is no {FILE} in it")
    try:
        content = _read(path)
    except (OSError, RuntimeError, UnpicklingError, BadZipFile):
        raise RunInvalid(f"{path} is damaged; delete {folder} and fit again") from None
    expected = {field.name for field in fields(Checkpoint)}
    if not isinstance(content, dict) or {*content, "source"} != expected:
        raise RunInvalid(f"{path} was not written by this version of mien-train; fit again")
    return Checkpoint(**content)


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], table: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Each key that differs, "dotted.like.this", and its two values as JSON."""
    # The kind first, since all the other keys follow from it.
    for key in sorted({**before, **now}, key=lambda key: key != "kind"):
        one, other = before.get(key), now.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(one, other, f"{table}{key}.")
        elif one != other:
            yield f"{table}{key}", json.dumps(one), json.dumps(other)


def _read(path: Path) -> object:
    """Torch takes a file that is no zip archive for its older format, and fails in any way.

    It also reads on where a checksum does not hold.
    """
    with ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise BadZipFile(f"the checksum of {damaged} does not hold")
    return torch.load(path, map_location="cpu", weights_only=True)
