"""Learn an embedding from a folder of people. Reads from top to bottom."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from torch.optim import Optimizer

from mien.errors import OutputExists
from mien.matching.metrics import cross_compare
from mien_training import networks, optimiser, schedule
from mien_training.augment import Augmenter
from mien_training.average import MovingAverage
from mien_training.batches import Batch, Batches
from mien_training.checkpoint import Checkpoint
from mien_training.config.recipe import Recipe
from mien_training.data import Crops, load, split
from mien_training.embed import embed
from mien_training.losses import WeightedSum
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.networks.reconstruction import add_reconstruction
from mien_training.progress import Progress
from mien_training.sampling import Sampler

RECIPE = "recipe.json"


def fit(folder: Path, recipe: Recipe, out: Path) -> Path:
    """Learn from the people of `folder` and write the run folder `out`; returns `out`.

    The run holds recipe.json (the effective recipe), checkpoint.pt and log.csv. On one machine,
    CPU and number of threads the same seed gives the same weights.

    Raises OutputExists, DatasetInvalid and RecipeInvalid, before anything is written.
    """
    _refuse_existing(out)
    data = load(folder, recipe.crop)
    train_people, validation_people = split(
        data.crops.people, recipe.validation_people, recipe.seed
    )
    train, validation = data.crops.of(train_people), data.crops.of(validation_people)
    sampler = Sampler(train.labels, recipe.batches, recipe.seed)
    augmenter = Augmenter(recipe.augmentation, recipe.crop)
    batches = Batches(train, sampler, augmenter, recipe.seed)
    images = recipe.epochs * len(batches) * recipe.batches.people * recipe.batches.pictures

    out.mkdir(parents=True, exist_ok=True)
    (out / RECIPE).write_text(recipe.model_dump_json(indent=2) + "\n")

    with closing(Progress(out, recipe.epochs, images)) as progress, _reproducible(recipe.threads):
        learner = Learner.fresh(recipe, len(train.people), len(batches))
        for epoch in range(1, recipe.epochs + 1):
            torch.manual_seed(recipe.seed << 32 | epoch)
            totals: Counter[str] = Counter()
            for batch in batches.epoch(epoch):
                totals.update(learner.step(batch))
                progress.step(len(batch[1]))
            is_last = epoch == recipe.epochs
            eer = None
            if validation.people and (is_last or epoch % recipe.validate_every == 0):
                eer = _validate(learner.average.network, validation)
            means = {key: total / len(batches) for key, total in totals.items()}
            progress.epoch(epoch, {**means, "validation_eer": eer})
            if is_last or epoch % recipe.checkpoint_every == 0:
                Checkpoint(
                    recipe=recipe.model_dump_json(),
                    version=metadata.version("mien"),
                    data=str(folder.resolve()),
                    data_digest=data.digest,
                    train_people=list(train.people),
                    validation_people=list(validation.people),
                    epoch=epoch,
                    network=learner.network.state_dict(),
                    average=learner.average.network.state_dict(),
                    losses=learner.losses.state_dict(),
                    optimiser=learner.optimiser.state_dict(),
                ).save(out)
    return out


@dataclass
class Learner:
    """What changes while learning."""

    recipe: Recipe
    network: EmbeddingNetwork
    losses: WeightedSum
    optimiser: Optimizer
    average: MovingAverage
    steps_per_epoch: int
    steps: int = 0
    """Behind it."""

    @classmethod
    def fresh(cls, recipe: Recipe, people: int, steps_per_epoch: int) -> "Learner":
        torch.manual_seed(recipe.seed)
        network = networks.build(recipe).to(memory_format=torch.channels_last).train()
        losses = WeightedSum(recipe.losses, people, recipe.dimension).train()
        return cls(
            recipe=recipe,
            network=network,
            losses=losses,
            optimiser=optimiser.build(recipe.optimiser, (network, losses)),
            average=MovingAverage(network, recipe.ema_decay),
            steps_per_epoch=steps_per_epoch,
        )

    def step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch; returns what is worth logging."""
        images, labels = batch  # uint8 [B, H, W, 3], int64 [B]
        rate = self._learning_rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        raw = self.network.features(images)  # float32 [B, D]
        term = add_reconstruction(self.losses(raw, labels), self.network, images, raw)
        self.optimiser.zero_grad()
        term.loss.backward()
        self.optimiser.step()
        self.average.update(self.network, self.steps)
        self.steps += 1
        return {"learning_rate": rate, **term.log}

    def _learning_rate(self) -> float:
        steps = self.recipe.epochs * self.steps_per_epoch
        share = schedule.factor(self.recipe.schedule, self.steps, steps, self.steps_per_epoch)
        return self.recipe.optimiser.learning_rate * share


def _validate(network: EmbeddingNetwork, crops: Crops) -> float:
    """EER over all comparisons of people who are not trained on."""
    return cross_compare(embed(network, crops.images), crops.labels).eer()


def _refuse_existing(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExists(f"{out} is there already and not empty; name another folder to write")


@contextmanager
def _reproducible(threads: int) -> Iterator[None]:
    """Deterministic kernels on so many threads; afterwards torch is as it was."""
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    had_threads = torch.get_num_threads()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads or had_threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(was_deterministic)
        torch.set_num_threads(had_threads)
