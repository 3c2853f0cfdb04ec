"""Pooling: what a network answers when the picture moves by a few pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from mien_training.config.networks import Cnn
from mien_training.config.recipe import Crop, Recipe
from mien_training.data import Crops, Images
from mien_training.lab import classes, comparison, figure, recipes
from mien_training.lab.comparison import PER_CENT, Between
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.learning import Shuffled, learn
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, holds, is_smaller
from mien_training.learner import Learner
from mien_training.networks.cnn import PlainNetwork

NONE, SKIPPED = "no pooling", "every second place"
MAX, SUM = "max", "sum"
OVERLAPPING_MAX, OVERLAPPING_SUM = "overlapping max", "overlapping sum"
SETTINGS: dict[str, dict[str, object]] = {
    NONE: {"window": 1, "stride": 1},
    SKIPPED: {"window": 1, "stride": 2},
    MAX: {"pooling": "max"},
    SUM: {"pooling": "sum"},
    OVERLAPPING_MAX: {"pooling": "max", "window": 3},
    OVERLAPPING_SUM: {"pooling": "sum", "window": 3},
}
"""Keys of the network cnn. The first two stand for a network without pooling: one keeps all places,
the other as many as pooling keeps, but takes them as they are."""
BESIDE = (NONE, SKIPPED)
POOLED = (MAX, SUM)
CHANNELS = (16, 32)
LARGEST_SHIFT = 3
"""Pixels, and the black margin around each digit, so that nothing of it is lost."""
SEEN = recipes.DIGIT_SIDE + 2 * LARGEST_SHIFT
SMALL = (1, 2)
"""Pixels, of the shifts that are compared: up to an eighth of the digit's side."""
ERROR, CHANGED, SIDE = "test error (%)", "answers changed (%)", "receptive field (pixels)"
SHIFT = "shift of the test picture (pixels)"
Changed = npt.NDArray[np.float64]
"""[T, shifts], the share of the four directions in which a test picture's answer changes."""


def _run(trial: Trial) -> Result:
    split = Split(*map(framed, trial.digits(recipes.DIGIT_SIDE)))
    rows: list[Row] = []
    changed: dict[str, list[Changed]] = {}
    for setting in SETTINGS:
        for seed in trial.seeds:
            learner = _learned(setting, seed, trial.epochs, split.train)
            shares = changes(learner, split.test)
            changed.setdefault(setting, []).append(shares)
            rows.append(
                Row(setting=setting, seed=seed, figures=_figures(setting, learner, split, shares))
            )
    table = Table.of("Digits, moved up, down, left and right", rows)
    curves = [
        Curve.of("changed", setting, range(LARGEST_SHIFT + 1), [0.0, *_by_shift(shares)])
        for setting, shares in changed.items()
    ]
    comparisons = tuple(
        _compared(changed, first, second)
        for first, second in (
            *((beside, pooled) for pooled in POOLED for beside in BESIDE),
            (MAX, OVERLAPPING_MAX),
            (SUM, OVERLAPPING_SUM),
        )
    )
    finding = judge(table, comparisons)
    return Result((table,), comparisons, tuple(curves), finding, _draw(table, curves))


def judge(table: Table, comparisons: Sequence[Comparison]) -> Finding:
    """Comparisons of what is pooled with what is not come before those of overlapping windows."""
    means = table.means
    against = comparisons[: len(POOLED) * len(BESIDE)]
    overlapping = comparisons[len(against) :]
    verdict = every(
        (
            *map(is_smaller, against),
            *(holds(means[pooled][SIDE] > means[NONE][SIDE]) for pooled in POOLED),
        )
    )
    shares = ", ".join(f"{means[each][CHANGED]:.1f} % ({each})" for each in SETTINGS)
    tested = "; ".join(
        f"{each.second} less {each.first} {each.difference:+.1f} "
        f"({each.low:.1f} to {each.high:.1f}, p = {each.p_value:.2g})"
        for each in (*against, *overlapping)
    )
    errors = [figures[ERROR] for figures in means.values()]
    return Finding(
        verdict=verdict,
        sentence=(
            f"Of the answers to unseen digits so many change when the digit moves by "
            f"{SMALL[0]} or {SMALL[-1]} pixels: {shares}. Differences in percentage points: "
            f"{tested}. Where nothing moves they err in {min(errors):.1f} to "
            f"{max(errors):.1f} %. A unit of the last maps sees {means[NONE][SIDE]:.0f} pixels "
            f"across without pooling, {means[MAX][SIDE]:.0f} with pooling and "
            f"{means[OVERLAPPING_MAX][SIDE]:.0f} where the windows overlap."
        ),
    )


def framed(crops: Crops) -> Crops:
    """With a black margin of the largest shift on each side."""
    margin = (LARGEST_SHIFT, LARGEST_SHIFT)
    return replace(crops, images=np.pad(crops.images, ((0, 0), margin, margin, (0, 0))))


def moved(images: Images, pixels: int) -> Iterator[Images]:
    """Down, up, right and left; what leaves on one side, which is black, comes in on the other."""
    for axis in (1, 2):
        for way in (pixels, -pixels):
            yield np.roll(images, way, axis)


def changes(learner: Learner, crops: Crops) -> Changed:
    still = classes.answers(learner, crops)
    return np.stack(
        [
            np.mean(
                [
                    classes.answers(learner, replace(crops, images=images)) != still
                    for images in moved(crops.images, pixels)
                ],
                axis=0,
            )
            for pixels in range(1, LARGEST_SHIFT + 1)
        ],
        axis=1,
    )


def receptive_field(setting: str) -> int:
    """Pixels across that reach a unit in the middle of the last maps, by its gradient."""
    network = PlainNetwork(_network(setting), Crop(height=SEEN, width=SEEN), dimension=1).eval()
    images = torch.rand(64, 3, SEEN, SEEN, requires_grad=True)
    maps = network.blocks(images)
    middle = maps.shape[-1] // 2
    (gradient,) = torch.autograd.grad(maps[:, :, middle, middle].sum(), images)
    columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero()
    return int(columns.max() - columns.min()) + 1


def _learned(setting: str, seed: int, epochs: int, train: Crops) -> Learner:
    recipe = _recipe(setting, seed, epochs)
    return learn(recipe, train, Shuffled(train, recipes.DIGIT_BATCH, seed)).learner


def _recipe(setting: str, seed: int, epochs: int) -> Recipe:
    crop = Crop(height=SEEN, width=SEEN)
    return recipes.digits(seed, epochs, crop=crop, network=_network(setting))


def _network(setting: str) -> Cnn:
    keys: dict[str, object] = {"kind": "cnn", "channels": CHANNELS, "activation": "relu"}
    return Cnn.model_validate(keys | SETTINGS[setting])


def _figures(setting: str, learner: Learner, split: Split, shares: Changed) -> dict[str, float]:
    return {
        ERROR: PER_CENT * float(classes.wrong(learner, split.test).mean()),
        CHANGED: PER_CENT * float(_small(shares).mean()),
        SIDE: float(receptive_field(setting)),
    }


def _small(shares: Changed) -> npt.NDArray[np.float64]:
    """[T], the mean over the small shifts."""
    return np.asarray(shares[:, : len(SMALL)].mean(axis=1))


def _by_shift(shares: Sequence[Changed]) -> list[float]:
    return [float(share) for share in PER_CENT * np.mean(shares, axis=(0, 1))]


def _compared(changed: dict[str, list[Changed]], first: str, second: str) -> Comparison:
    one, other = ([_small(shares) for shares in changed[each]] for each in (first, second))
    return comparison.of_units(
        Between(CHANGED, first, second), one, other, "test pictures", scale=PER_CENT
    )


def _draw(table: Table, curves: Sequence[Curve]) -> Figure:
    drawn, (left, right) = figure.grid(3.6, columns=2)
    figure.lines(left, curves)
    left.set(
        xlabel=SHIFT, ylabel="answers changed (%)", ylim=(0, 100), xticks=range(LARGEST_SHIFT + 1)
    )
    left.legend(frameon=False, fontsize=9, loc="upper left")
    left.set_title("The same digit, moved", fontsize=11)
    names = list(SETTINGS)
    fields = [[table.means[name][SIDE]] for name in names]
    figure.bars(right, names, fields, "pixels across that a unit sees")
    right.set_title("Receptive field of the last maps", fontsize=11)
    return drawn


EXPERIMENT = Experiment(
    claim=(
        "Taking the largest answer of a filter in a neighbourhood, or their sum, makes a network "
        "care less where exactly a feature is, so that its answer stays when the picture moves a "
        "little; and later layers see more of the picture. Windows may overlap or not."
    ),
    rule=(
        "Reproduced if both max and sum pooling change fewer answers under shifts of one and two "
        "pixels than a network that keeps all places, and than one that keeps every second place, "
        "each with a 95 % interval below 0, and if their units see more pixels than without. "
        "Windows of three pixels, two apart, are shown beside them."
    ),
    data="digits",
    quick=Scale(seeds=3, epochs=6),
    full=Scale(seeds=10, epochs=20),
    run=_run,
)
