"""Learn an embedding from a folder of people. Reads from top to bottom."""

import sys
from collections.abc import Collection
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

import torch

from mien.errors import OutputExists
from mien.matching.metrics import cross_compare
from mien_training import checkpoint, device
from mien_training import log as logs
from mien_training.audit import audit
from mien_training.batches import Batches
from mien_training.checkpoint import Checkpoint
from mien_training.config.recipe import Recipe
from mien_training.data import Crops, gather, split
from mien_training.embed import embed_together
from mien_training.learner import Learner, mean
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.process_group import ProcessGroup, joined
from mien_training.progress import Progress
from mien_training.room import room_for
from mien_training.source import Source

RECIPE = "recipe.json"
RESUMED = {RECIPE, checkpoint.FILE, checkpoint.PARTIAL, logs.FILE, logs.EVENTS}
"""What may be in the folder of a run that is gone on with."""
VALIDATION_FMR = 1e-2
"""Where the FNMR of validation is read: a hundred impostor comparisons are enough for it."""


def fit(  # noqa: PLR0913 - what is learned, and how it is begun
    folder: Path,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    strict: bool = False,
    source: Source | None = None,
) -> Path:
    """Learn from the people of `folder` and write the run folder `out`; returns `out`.

    The run holds recipe.json (the effective recipe), checkpoint.pt, log.csv and tensorboard/. On
    one machine, CPU and number of threads the same seed gives the same weights, whether or not the
    run was killed in between and gone on with by `resume`, which starts it where there is none.
    `strict` refuses whatever the audit finds. With a `source`, whose network and crop the recipe
    has (`load_recipe`), the weights are its own at first. Where torchrun started several processes
    they share every batch, and the first of them writes and prints.

    Raises OutputExists, DatasetInvalid, RecipeInvalid and RunInvalid (`resume` of another recipe
    or data set), before anything is written; LearningStopped and StorageFull later.
    """
    where = device.choose(recipe.device)
    with ExitStack() as ending:
        group = ending.enter_context(joined(where))
        known = RESUMED if resume else set()
        group.by_first(lambda: _refuse_existing(out, known))
        start = group.agreed(
            lambda: _start(folder, recipe, out, source, strict=strict, tells=group.is_first)
        )
        group.refuse_unlike(start.told(recipe))
        batches = Batches(start.train, recipe, group)
        group.by_first(lambda: _begin(out, recipe))

        ending.enter_context(device.reproducible(recipe.threads, where))
        learner = _learner(recipe, where, group, start, source, batches)
        log = logs.Log(out, start.log, writes=group.is_first)
        progress = _progress(recipe, batches, start.epoch, log.seconds, group)
        ending.enter_context(closing(progress))
        epoch = start.epoch
        while epoch < recipe.epochs and not learner.is_stopped:
            epoch += 1
            learned = _pass(learner, epoch, batches, progress)
            metrics: dict[str, float] = {}
            if epoch == recipe.epochs or epoch % recipe.validate_every == 0:
                metrics = _measure(learner, start.validation, group)
            is_last = epoch == recipe.epochs or learner.is_stopped
            columns = {
                **learned,
                "validation_eer": metrics.get("eer"),
                "validation_fnmr": metrics.get("fnmr"),
            }
            group.agreed(partial(log.add, epoch, progress.seconds, columns))
            progress.epoch(epoch, columns, is_last=is_last)
            if is_last or epoch % recipe.checkpoint_every == 0:
                reached = start.reached(folder, recipe, learner, epoch, log.rows)
                group.by_first(partial(reached.save, out))
    return out


@dataclass(frozen=True)
class Start:
    """What a run begins with."""

    saved: Checkpoint | None
    digest: str
    """Of the pictures."""
    train: Crops
    validation: Crops
    source: str
    """What the weights are from; "": nothing."""

    @property
    def epoch(self) -> int:
        """The last that was learned."""
        return self.saved.epoch if self.saved else 0

    @property
    def log(self) -> list[logs.Row]:
        """Of the epochs that were learned."""
        return self.saved.log if self.saved else []

    def told(self, recipe: Recipe) -> dict[str, object]:
        """What has to be the same in every process, by name."""
        return {
            "recipe": recipe.model_dump_json(),
            "set of pictures": self.digest[:12],
            "epoch": self.epoch,
            "source": self.source,
        }

    def reached(
        self, folder: Path, recipe: Recipe, learner: Learner, epoch: int, log: list[logs.Row]
    ) -> Checkpoint:
        """What is to be kept after a whole epoch."""
        return Checkpoint(
            recipe=recipe.model_dump_json(),
            version=metadata.version("mien"),
            data=str(folder.resolve()),
            data_digest=self.digest,
            train_people=list(self.train.people),
            validation_people=list(self.validation.people),
            epoch=epoch,
            log=log,
            source=self.source,
            **learner.state_dict(),
        )


def _start(  # noqa: PLR0913 - all that is looked at before anything is written
    folder: Path, recipe: Recipe, out: Path, source: Source | None, *, strict: bool, tells: bool
) -> Start:
    """Read the pictures, and the checkpoint if there is one; refuse what cannot be begun."""
    name = source.name if source else ""
    saved = checkpoint.find(out)
    digest, train, validation = _read(folder, recipe, strict=strict, tells=tells)
    if source:
        everybody = tuple(sorted((*train.people, *validation.people)))
        source.refuse_known(everybody, validation.people, digest)
    if saved:
        saved.refuse_other(recipe, folder, digest, name)
    return Start(saved, digest, train, validation, name)


def _begin(out: Path, recipe: Recipe) -> None:
    """Make the folder of the run."""
    with room_for(out / RECIPE, out):
        out.mkdir(parents=True, exist_ok=True)
        (out / RECIPE).write_text(recipe.model_dump_json(indent=2) + "\n")


def _read(folder: Path, recipe: Recipe, *, strict: bool, tells: bool) -> tuple[str, Crops, Crops]:
    """The digest of a folder that passed its audit, and its people of training and validation."""
    data = gather(folder, recipe.crop)
    train_people, validation_people = split(
        data.crops.people, recipe.validation_people, recipe.seed
    )
    audited = audit(folder, data, validation_people)
    if tells:
        print(audited.table(), file=sys.stderr)
    data.refuse_unusable(folder)
    audited.refuse(strict=strict)
    return data.digest, data.crops.of(train_people), data.crops.of(validation_people)


def _learner(  # noqa: PLR0913, PLR0917 - what it learns, with whom, and from where it goes on
    recipe: Recipe,
    where: torch.device,
    group: ProcessGroup,
    start: Start,
    source: Source | None,
    batches: Batches,
) -> Learner:
    """With the weights of the checkpoint, else of the source, else with new ones."""
    learner = Learner.fresh(recipe, where, group, len(start.train.people), len(batches))
    if source:
        learner.start_from(source.weights)
    if start.saved:
        learner.load_state_dict(vars(start.saved))
    return learner


def _progress(
    recipe: Recipe, batches: Batches, epoch: int, seconds: float, group: ProcessGroup
) -> Progress:
    """In pictures, after `epoch` epochs that took `seconds`."""
    images = len(batches) * recipe.batches.people * recipe.batches.pictures
    return Progress(
        recipe.epochs, recipe.epochs * images, epoch * images, seconds, tells=group.is_first
    )


def _pass(learner: Learner, epoch: int, batches: Batches, progress: Progress) -> dict[str, float]:
    """Learn from every batch once; the means of what its steps told."""
    steps = []
    for part in learner.epoch(epoch, batches):
        steps.append(learner.step(part))
        progress.step(sum(len(labels) for _, labels in part))
    return mean(steps)


def _measure(learner: Learner, people: Crops, group: ProcessGroup) -> dict[str, float]:
    """What validation tells, which may stop the learner; {} where nobody was held out."""
    if not people.people:
        return {}
    # The first decides: processors differ in the last bit.
    metrics = group.parts(_validate(learner.average.network, people, group))[0]
    learner.validated(metrics)
    return metrics


def _validate(network: EmbeddingNetwork, crops: Crops, group: ProcessGroup) -> dict[str, float]:
    """EER and FNMR over all comparisons of people who are not trained on."""
    comparisons = cross_compare(embed_together(network, crops.images, group), crops.labels)
    return {"eer": comparisons.eer(), "fnmr": comparisons.fnmr_at_fmr(VALIDATION_FMR)}


def _refuse_existing(out: Path, known: Collection[str]) -> None:
    """Anything but the files that are known."""
    if out.exists() and (not out.is_dir() or any(file.name not in known for file in out.iterdir())):
        raise OutputExists(
            f"{out} is there already and not empty; name another folder to write, or go on with "
            "the run in it by --resume"
        )
