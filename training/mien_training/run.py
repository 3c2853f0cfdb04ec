"""A finished run, as read from its folder."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mien.errors import RunInvalid
from mien_training import checkpoint
from mien_training.config.recipe import Recipe
from mien_training.networks import build
from mien_training.networks.embedding import EmbeddingNetwork


@dataclass(frozen=True)
class Run:
    """What was learned, from whom, and how."""

    recipe: Recipe
    network: EmbeddingNetwork
    """In evaluation."""
    train_people: tuple[str, ...]
    validation_people: tuple[str, ...]
    data: Path
    """The folder of people that it learned from."""
    data_digest: str
    version: str
    epoch: int
    source: str
    """What it started from; "": fresh weights."""


def load_run(folder: Path) -> Run:
    """Load a run that `fit` wrote.

    Raises RunInvalid: the folder holds no run, or its checkpoint is damaged.
    """
    saved = checkpoint.load(folder)
    try:
        recipe = saved.parsed_recipe()
        network = build(recipe)
        network.load_state_dict(saved.used)
    except (ValidationError, RuntimeError):
        raise RunInvalid(
            f"{folder} was written by mien {saved.version} with a recipe or weights that this "
            "version does not know; use that version, or fit again"
        ) from None
    return Run(
        recipe=recipe,
        network=network.eval(),
        train_people=tuple(saved.train_people),
        validation_people=tuple(saved.validation_people),
        data=Path(saved.data),
        data_digest=saved.data_digest,
        version=saved.version,
        epoch=saved.epoch,
        source=saved.source,
    )
