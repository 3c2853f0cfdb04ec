"""An autoencoder whose code also has to tell the class, beside a plain one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

from mien_training.config.losses import CosfaceHead, LinearHead, Losses, Softmax
from mien_training.config.networks import Autoencoder
from mien_training.data import Crops
from mien_training.lab import classes, comparison, figure, recipes
from mien_training.lab.comparison import PER_CENT, Between
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.learning import Shuffled, learn
from mien_training.lab.record import Comparison, Finding, Row, Table
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, holds, is_smaller
from mien_training.lab.verification import Verified
from mien_training.learner import Learner
from mien_training.networks.autoencoder import AutoencoderNetwork
from mien_training.networks.embedding import normalised

PLAIN, SUPERVISED, CLASSES = "plain autoencoder", "supervised autoencoder", "classes alone"
WEIGHTS = {PLAIN: (0.0, 1.0), SUPERVISED: (1.0, 1.0), CLASSES: (1.0, 0.0)}
"""Of the class head's softmax, and of the reconstruction (β)."""
DIGIT_CHANNELS, FACE_CHANNELS = (16, 32), (16, 32, 64, 128)
DIGIT_CODE = 16
"""Numbers in the code of a digit, of 64 pixels before it was scaled."""
NEIGHBOUR, LOST, EER = "nearest neighbour's class wrong (%)", "variance lost (%)", "EER (%)"
INK, SLANT, PIXELS = "ink", "slant", "pixels"
KEPT = (INK, SLANT, PIXELS)
WITHIN = "kept within a class: {} (R²)"
SHOWN = 8
"""Digits whose reconstructions are drawn."""
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coded:
    """Digits seen through one fitted network, unseen ones measured."""

    kept: dict[str, float]
    """R² of what a linear fit on the code says of ink, slant and pixels within a class."""
    wrong: npt.NDArray[np.bool_]
    """[T], whether the nearest code among the pictures of training is of another class."""
    lost: Values
    """[T], of `variance_lost`."""
    pictures: Values
    """The first of the reconstructions, [SHOWN, side, side] from 0 to 1."""


def _run(trial: Trial) -> Result:
    digits, faces = trial.digits(recipes.DIGIT_SIDE), trial.faces(recipes.FACE_SIDE)
    coded = {
        setting: [_coded(setting, seed, trial.epochs, digits) for seed in trial.seeds]
        for setting in WEIGHTS
    }
    people = {
        setting: [_of_people(setting, seed, trial.epochs, faces) for seed in trial.seeds]
        for setting in WEIGHTS
    }
    tables = (
        Table.of("Unseen digits", _digit_rows(coded, trial.seeds)),
        Table.of("Unseen people", _face_rows(people, trial.seeds)),
    )
    comparisons = tuple(
        each for first in (PLAIN, CLASSES) for each in _compared(coded, people, first, SUPERVISED)
    )
    finding = judge(*tables, comparisons)
    drawn = _draw(*tables, digits.test, coded)
    return Result(tables, comparisons, (), finding, drawn)


def judge(digits: Table, people: Table, comparisons: Sequence[Comparison]) -> Finding:
    """The first two comparisons are of the plain autoencoder with the supervised one."""
    against_plain, beside = comparisons[:2], comparisons[2:]
    lost = {setting: digits.means[setting][LOST] for setting in (PLAIN, SUPERVISED)}
    verdict = every((*map(is_smaller, against_plain), holds(lost[SUPERVISED] < PER_CENT)))
    told = [
        f"{each.figure} goes from {each.first_value:.1f} to {each.second_value:.1f} "
        f"({each.difference:+.1f}, {each.low:.1f} to {each.high:.1f}, p = {each.p_value:.2g})"
        for each in comparisons
    ]
    kept = "; ".join(
        f"{name} {digits.means[PLAIN][WITHIN.format(name)]:.2f} plain, "
        f"{digits.means[SUPERVISED][WITHIN.format(name)]:.2f} supervised, "
        f"{digits.means[CLASSES][WITHIN.format(name)]:.2f} with classes alone"
        for name in KEPT
    )
    return Finding(
        verdict=verdict,
        sentence=(
            f"From the plain to the supervised autoencoder {' and '.join(told[:2])}. It pays in "
            f"its pictures, which lose {lost[SUPERVISED]:.0f} % of the variance of unseen digits "
            f"instead of {lost[PLAIN]:.0f} %. What the code keeps of how a digit of its class is "
            f"written, as R²: {kept}. Beside a network that learns the classes alone, "
            f"{' and '.join(told[len(against_plain) : len(against_plain) + len(beside)])}."
        ),
    )


def variance_lost(pictures: Values, rebuilt: Values, mean: Values) -> Values:
    """[T], squared errors; 1 on average is as bad as showing the mean picture of training.

    Pictures and their reconstructions [T, P], `mean` [P].
    """
    scale = ((pictures - mean) ** 2).sum(axis=1).mean()
    return np.asarray(((pictures - rebuilt) ** 2).sum(axis=1) / scale)


def ink(pictures: Values) -> Values:
    """[N, side, side] from black to white: the mean brightness, [N]."""
    return np.asarray(pictures.mean(axis=(1, 2)))


def slant(pictures: Values) -> Values:
    """[N, side, side] to [N]: pixels to the right for a pixel downwards, by second moments."""
    weights = pictures / pictures.sum(axis=(1, 2), keepdims=True)
    line = np.arange(pictures.shape[1], dtype=np.float64)
    rows, columns = weights.sum(axis=2) @ line, weights.sum(axis=1) @ line
    down = line - rows[:, None]
    right = line - columns[:, None]
    together = np.einsum("nij,ni,nj->n", weights, down, right)
    return np.asarray(together / np.einsum("nij,ni->n", weights, down**2))


def within_class(train: tuple[Values, Crops], test: tuple[Values, Crops], of: Values) -> float:
    """R² on unseen pictures of a ridge regression from codes to a quantity within its class.

    Codes [N, D] with their crops, and the quantity [N, Q] of those of training and then of test.
    """
    (codes, crops), (unseen, tested) = train, test
    mean = np.stack([of[: len(codes)][crops.labels == label].mean(axis=0) for label in _of(crops)])
    target = of - mean[np.concatenate([crops.labels, tested.labels])]
    guess = Ridge().fit(codes, target[: len(codes)]).predict(unseen)
    true = target[len(codes) :]
    return 1 - float(((true - guess.reshape(true.shape)) ** 2).sum() / (true**2).sum())


def _of(crops: Crops) -> range:
    return range(len(crops.people))


def _coded(setting: str, seed: int, epochs: int, split: Split) -> Coded:
    recipe = recipes.digits(
        seed,
        epochs,
        dimension=DIGIT_CODE,
        network=_network(setting, DIGIT_CHANNELS),
        losses=_losses(setting, LinearHead(kind="linear")),
    )
    source = Shuffled(split.train, recipes.DIGIT_BATCH, seed)
    learner = learn(recipe, split.train, source).learner
    train, test = (classes.embeddings(learner, crops).double().numpy() for crops in split)
    grey = [crops.images[..., 0] / 255 for crops in split]
    both = np.concatenate(grey)
    quantities = {INK: ink(both)[:, None], SLANT: slant(both)[:, None], PIXELS: _flat(both)}
    nearest = KNeighborsClassifier(1).fit(train, split.train.labels).predict(test)
    rebuilt = _rebuilt(learner, split.test)[:, 0]
    mean = _flat(grey[0]).mean(axis=0)
    return Coded(
        kept={
            name: within_class((train, split.train), (test, split.test), of)
            for name, of in quantities.items()
        },
        wrong=nearest != split.test.labels,
        lost=variance_lost(_flat(grey[1]), _flat(rebuilt), mean),
        pictures=rebuilt[_examples(split.test)],
    )


def _of_people(setting: str, seed: int, epochs: int, split: Split) -> tuple[Verified, float]:
    """Pairs of unseen people, and the share of variance that their pictures lose."""
    recipe = recipes.faces(
        seed,
        epochs,
        network=_network(setting, FACE_CHANNELS),
        losses=_losses(setting, CosfaceHead(kind="cosface")),
    )
    lesson = learn(recipe, split.train)
    train, test = (_flat(crops.images / 255) for crops in split)
    rebuilt = _rebuilt(lesson.learner, split.test).transpose(0, 2, 3, 1)
    lost = variance_lost(test, _flat(rebuilt), train.mean(axis=0))
    return Verified.by(lesson.network, split.test), float(lost.mean())


def _network(setting: str, channels: tuple[int, ...]) -> Autoencoder:
    _, beta = WEIGHTS[setting]
    return Autoencoder(kind="autoencoder", channels=channels, activation="relu", beta=beta)


def _losses(setting: str, head: LinearHead | CosfaceHead) -> Losses:
    weight, _ = WEIGHTS[setting]
    return Losses(softmax=Softmax(weight=weight, head=head))


@torch.no_grad()
def _rebuilt(learner: Learner, crops: Crops) -> Values:
    """[N, 3, side, side] from 0 to 1."""
    backbone = learner.network.backbone
    if not isinstance(backbone, AutoencoderNetwork):
        raise TypeError(f"{type(backbone).__name__} has no decoder")
    learner.network.eval()
    images = backbone.reconstruct(backbone(normalised(torch.from_numpy(crops.images))))
    learner.network.train()
    return (images.double().numpy() + 1) / 2


def _flat(pictures: Values) -> Values:
    return pictures.reshape(len(pictures), -1)


def _examples(crops: Crops) -> list[int]:
    """Rows of the first picture of each of the first classes."""
    return [int(np.argmax(crops.labels == label)) for label in range(SHOWN)]


def _digit_rows(coded: Mapping[str, Sequence[Coded]], seeds: Sequence[int]) -> list[Row]:
    rows = []
    for setting, fits in coded.items():
        for seed, fit in zip(seeds, fits, strict=True):
            figures = {NEIGHBOUR: PER_CENT * float(fit.wrong.mean())}
            if _has_decoder(setting):
                figures[LOST] = PER_CENT * float(fit.lost.mean())
            figures |= {WITHIN.format(name): value for name, value in fit.kept.items()}
            rows.append(Row(setting=setting, seed=seed, figures=figures))
    return rows


def _face_rows(
    people: Mapping[str, Sequence[tuple[Verified, float]]], seeds: Sequence[int]
) -> list[Row]:
    rows = []
    for setting, fits in people.items():
        for seed, (verified, lost) in zip(seeds, fits, strict=True):
            figures = {EER: PER_CENT * verified.eer}
            if _has_decoder(setting):
                figures[LOST] = PER_CENT * lost
            rows.append(Row(setting=setting, seed=seed, figures=figures))
    return rows


def _has_decoder(setting: str) -> bool:
    return WEIGHTS[setting][1] > 0


def _compared(
    coded: Mapping[str, Sequence[Coded]],
    people: Mapping[str, Sequence[tuple[Verified, float]]],
    first: str,
    second: str,
) -> tuple[Comparison, Comparison]:
    one, other = ([fit.wrong for fit in coded[each]] for each in (first, second))
    pairs = ([verified for verified, _ in people[each]] for each in (first, second))
    between = partial(Between, first=first, second=second)
    return (
        comparison.of_units(between(NEIGHBOUR), one, other, "test pictures", PER_CENT),
        comparison.of_eers(between(EER), *pairs),
    )


def _draw(
    digits: Table, people: Table, test: Crops, coded: Mapping[str, Sequence[Coded]]
) -> Figure:
    drawn, (pictures, kept, neighbours, eers) = figure.grid(6.0, rows=2, columns=2)
    shown = {"original": test.images[_examples(test)][..., 0] / 255}
    shown |= {setting: coded[setting][0].pictures for setting in WEIGHTS if _has_decoder(setting)}
    rows = [np.concatenate(list(each), axis=1) for each in shown.values()]
    pictures.imshow(np.concatenate(rows), cmap="gray", vmin=0, vmax=1)
    side = test.images.shape[1]
    names = [name.split()[0] for name in shown]
    pictures.set_yticks([side * (row + 0.5) for row in range(len(names))], names)
    pictures.set_xticks([])
    pictures.tick_params(length=0)
    pictures.set_title("Unseen digits out of the code", fontsize=11)
    places = np.arange(len(KEPT))
    for number, setting in enumerate(WEIGHTS):
        heights = [digits.means[setting][WITHIN.format(name)] for name in KEPT]
        kept.bar(places + 0.27 * number, heights, 0.25, color=figure.COLOURS[number], label=setting)
    kept.axhline(0, color="#222222", linewidth=0.8)
    kept.set_xticks(places + 0.27, KEPT)
    kept.set_ylabel("R² within a class")
    kept.set_title("What the code keeps", fontsize=11)
    kept.set_ylim(top=1.15)
    kept.legend(frameon=False, fontsize=9, loc="upper left")
    for axes, table, name in ((neighbours, digits, NEIGHBOUR), (eers, people, EER)):
        values = [table.seeds_of(setting, name) for setting in WEIGHTS]
        figure.bars(axes, list(WEIGHTS), values, name)
    neighbours.set_title("Digits", fontsize=11)
    eers.set_title("Unseen people", fontsize=11)
    return drawn


EXPERIMENT = Experiment(
    claim=(
        "An autoencoder is made supervised by adding a loss on the class of its code to the error "
        "of its picture. The code then keeps what tells classes and people apart, and still "
        "enough to draw the picture."
    ),
    rule=(
        "Reproduced if from the plain to the supervised autoencoder both the share of unseen "
        "digits whose nearest neighbour by code is of another class, and the EER on unseen "
        "people, fall with a 95 % interval below 0, and the supervised one loses less of the "
        "variance of unseen digits than the mean picture, which loses all."
    ),
    data="digits and faces",
    quick=Scale(seeds=3, epochs=12),
    full=Scale(seeds=5, epochs=60),
    run=_run,
)
