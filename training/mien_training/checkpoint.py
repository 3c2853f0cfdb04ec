"""The file of a run that holds all that was learned and how."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeAlias
from zipfile import BadZipFile, ZipFile

import torch

from mien.errors import RunInvalid
from mien_training.config.recipe import Recipe

FILE = "checkpoint.pt"

State: TypeAlias = dict[str, Any]
"""What a `state_dict()` of torch gives."""


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
    """The weights that are used: the moving average, or the same ones where it is off."""
    losses: State
    """Class heads and centres."""
    optimiser: State

    def parsed_recipe(self) -> Recipe:
        return Recipe.model_validate_json(self.recipe)

    def save(self, folder: Path) -> None:
        """Replace the checkpoint in a folder: after a crash it is the old one or the new one."""
        partial = folder / f"{FILE}.partial"
        try:
            with partial.open("wb") as file:
                torch.save(vars(self), file)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        partial.replace(folder / FILE)


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
    if not isinstance(content, dict) or set(content) != expected:
        raise RunInvalid(f"{path} was not written by this version of mien-train; fit again")
    return Checkpoint(**content)


def _read(path: Path) -> object:
    """Torch takes a file that is no zip archive for its older format, and fails in any way.

    It also reads on where a checksum does not hold.
    """
    with ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise BadZipFile(f"the checksum of {damaged} does not hold")
    return torch.load(path, map_location="cpu", weights_only=True)
