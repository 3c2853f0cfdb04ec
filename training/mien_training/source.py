"""What a run starts from instead of fresh weights: another run, or a bundle."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mien.errors import BundleInvalid, DatasetInvalid, RunInvalid
from mien.model import built_in, bundle
from mien.model.manifest import MANIFEST, NETWORK
from mien_training.checkpoint import FILE
from mien_training.config.recipe import Recipe
from mien_training.data import shortened, split
from mien_training.graph import weights_of
from mien_training.learner import State
from mien_training.networks import build
from mien_training.run import load_run


@dataclass(frozen=True)
class Source:
    """Weights that were learned before, and what is known of them."""

    name: str
    """As a checkpoint and a model card tell it; another source has another name."""
    recipe: Recipe
    """By which they were learned: its network, crop and dimension are those of the weights."""
    weights: State
    """Those to embed with, by the names of `mien_training.networks.build(recipe)`."""
    data_digest: str
    """Of the pictures that they were learned from."""

    def refuse_known(self, people: Sequence[str], held_out: Collection[str], digest: str) -> None:
        """Raises DatasetInvalid: the weights were learned from somebody who is to be held out.

        That is known where both learn from the same pictures; who is in others, is not.
        """
        if digest != self.data_digest:
            return
        share, seed = self.recipe.validation_people, self.recipe.seed
        known = sorted({*split(people, share, seed)[0]} & {*held_out})
        if known:
            raise DatasetInvalid(
                f"{self.name} learned from {len(known)} of the {len(held_out)} people to be held "
                f"out ({shortened(known, 3)}), so that they would flatter; hold out whom it did: "
                f"--set seed={seed} --set validation_people={share}"
            )


def load_source(named: Path) -> Source:
    """The run or bundle of a folder, or the built-in bundle of a name.

    Raises RunInvalid and BundleInvalid: there is none, it is damaged, or a bundle does not have its
    weights as they were learned (imported or quantised).
    """
    folder = built_in.find(named)
    if (folder / MANIFEST).is_file():
        return _of_bundle(folder)
    if (folder / FILE).is_file():
        return _of_run(folder)
    raise RunInvalid(
        f"{folder} is neither a run nor a bundle: there is no {FILE} and no {MANIFEST} in it"
    )


def _of_run(folder: Path) -> Source:
    run = load_run(folder)
    return Source(
        name=f"a run of {run.epoch} epochs over pictures {run.data_digest[:12]}…",
        recipe=run.recipe,
        weights=run.network.state_dict(),
        data_digest=run.data_digest,
    )


def _of_bundle(folder: Path) -> Source:
    manifest = bundle.load(folder).manifest
    try:
        recipe = Recipe.model_validate_json(manifest.provenance["recipe"])
    except (KeyError, ValidationError):
        raise BundleInvalid(
            f"{folder} does not say by what recipe it was learned, or says one that this version "
            "does not know; start from a bundle that mien-train exported"
        ) from None
    try:
        weights = weights_of((folder / NETWORK).read_bytes(), build(recipe))
    except BundleInvalid as error:
        raise BundleInvalid(f"{folder} cannot be started from: {error}") from None
    return Source(
        name=f"{manifest.name} {manifest.fingerprint[:12]} ({manifest.license})",
        recipe=recipe,
        weights=weights,
        data_digest=manifest.provenance.get("data_sha256", ""),
    )
