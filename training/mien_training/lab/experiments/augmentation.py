"""Augmentation: the course's eight kinds of a picture, and what each is worth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_image

from mien_training.augment import Augmenter
from mien_training.config.augmentation import (
    Augmentation,
    ColourShift,
    Contrast,
    Flip,
    InformationLoss,
    Noise,
    RandomCrop,
    Rotation,
)
from mien_training.config.recipe import Batches, Crop, Recipe
from mien_training.data import Crops, Images
from mien_training.lab import classes, figure, fits, recipes
from mien_training.lab.classes import Wrong
from mien_training.lab.comparison import PER_CENT, Between, of_units
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.fits import EER, ERROR, DigitFit, FaceFit
from mien_training.lab.learning import learn
from mien_training.lab.record import Comparison, Finding, Row, Table
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, is_larger, is_smaller

KINDS = {
    "flip": Augmentation(flip=Flip(probability=1)),
    "rotation": Augmentation(rotation=Rotation(probability=1, degrees=15)),
    "random crop": Augmentation(random_crop=RandomCrop(probability=1, smallest=0.6)),
    "colour shift": Augmentation(
        colour_shift=ColourShift(probability=1, brightness=0.4, saturation=0.4, hue=0.1)
    ),
    "noise": Augmentation(noise=Noise(probability=1, deviation=0.2)),
    "information loss": Augmentation(information_loss=InformationLoss(probability=1, largest=0.4)),
    "contrast": Augmentation(contrast=Contrast(probability=1, strength=0.5)),
}
"""Of the course; the eighth is the picture as it is. Stronger than a recipe's defaults, so that
they can be seen."""
CHANCE = 0.5
"""Of each kind while learning."""
NONE, ALL, FLIP, NOISE = "none", "all seven", "flip", "noise"
BUT = "all but {}"
EACH_TRAIN = 6
"""Pictures of each digit to learn from, so that there is something to add to."""
DIGIT_BATCHES = Batches(people=10, pictures=3)
CHANGED = "test error on pictures with {} (%)"
DIGIT_EPOCHS = 5
"""Of the few digits for one of the faces."""
TILE, GAP = 112, 26
"""Pixels of a tile, and above it."""
TILE_SEED = 4
"""Draws a change of each kind that can be seen."""


@dataclass(frozen=True)
class Tested(DigitFit):
    """Which test pictures are taken for another digit: as they are, and changed by a kind."""

    changed: Mapping[str, Wrong]
    """[T] each; of every kind for the setting without any, of its own for one alone."""

    def row(self, setting: str, **more: float) -> Row:
        own = {CHANGED.format(kind): _error(wrong) for kind, wrong in self.changed.items()}
        return super().row(setting, **own, **more)


def _run(trial: Trial) -> Result:
    split, people = trial.digits(recipes.DIGIT_SIDE), trial.faces(recipes.FACE_SIDE)
    digits = {
        setting: [_digits(kinds, seed, trial.epochs, split) for seed in trial.seeds]
        for setting, kinds in digit_settings().items()
    }
    faces = {
        setting: fits.on_faces(
            [_of_faces(kinds, seed, trial.epochs) for seed in trial.seeds], people
        )
        for setting, kinds in settings().items()
    }
    count = len(split.train.people) * EACH_TRAIN
    tables = (
        Table.of("Unseen people", fits.rows(faces)),
        Table.of(
            f"{count} digits to learn from, {len(split.test.labels)} to test on", fits.rows(digits)
        ),
    )
    comparisons = _compared(faces, digits)
    return Result(tables, comparisons, (), judge(*tables, comparisons), _draw(tables, comparisons))


def judge(faces: Table, digits: Table, comparisons: Sequence[Comparison]) -> Finding:
    """Looks its comparisons up by figure and settings."""
    by_name = {(each.figure, each.first, each.second): each for each in comparisons}
    for_faces = by_name[EER, NONE, ALL]
    for_digits = by_name[ERROR, NONE, BUT.format(FLIP)]
    flipped = by_name[ERROR, BUT.format(FLIP), ALL]
    noisy = by_name[CHANGED.format(NOISE), NONE, NOISE]
    parts = (is_smaller(for_faces), is_smaller(for_digits), is_larger(flipped), is_smaller(noisy))
    alone, last, of_digits = (
        _listed(by_name[figure, first.format(kind), second.format(kind)] for kind in KINDS)
        for figure, first, second in ((EER, NONE, "{}"), (EER, BUT, ALL), (ERROR, NONE, "{}"))
    )
    tolerant = [kind for kind in KINDS if by_name[CHANGED.format(kind), NONE, kind].high < 0]
    return Finding(
        verdict=every(parts),
        sentence=(
            f"On unseen people all seven take the EER from {_change(for_faces)}. Alone added to "
            f"none ({faces.means[NONE][EER]:.1f} %), in percentage points: {alone}. Added as the "
            f"last of the seven ({faces.means[ALL][EER]:.1f} %): {last}. Of a few digits to learn "
            f"from, all but flipping, which makes no digit of a digit, take the error from "
            f"{_change(for_digits)}; adding flips takes it from {_change(flipped)}. Alone added to "
            f"none ({digits.means[NONE][ERROR]:.1f} %): {of_digits}. On noisy digits noise takes "
            f"the error from {_change(noisy)}; a kind alone helps on pictures changed by itself, "
            f"beyond chance, for {len(tolerant)} of {len(KINDS)} "
            f"({', '.join(tolerant) or 'none'})."
        ),
    )


def _change(found: Comparison) -> str:
    return (
        f"{found.first_value:.1f} to {found.second_value:.1f} % ({found.low:+.1f} to "
        f"{found.high:+.1f}, p = {found.p_value:.2g})"
    )


def _listed(found: Iterable[Comparison]) -> str:
    return ", ".join(
        f"{kind} {each.difference:+.1f} (p = {each.p_value:.2g})"
        for kind, each in zip(KINDS, found, strict=True)
    )


def settings() -> dict[str, tuple[str, ...]]:
    """The kinds of each setting: none, each alone, all, and all but each."""
    return {
        NONE: (),
        **{kind: (kind,) for kind in KINDS},
        ALL: tuple(KINDS),
        **{BUT.format(kind): tuple(each for each in KINDS if each != kind) for kind in KINDS},
    }


def digit_settings() -> dict[str, tuple[str, ...]]:
    """Of all but each, flips alone: the others of them are looked at with faces."""
    left_out = {BUT.format(kind) for kind in KINDS if kind != FLIP}
    return {name: kinds for name, kinds in settings().items() if name not in left_out}


def together(kinds: Sequence[str], probability: float = CHANCE) -> Augmentation:
    """Each of these kinds with a probability."""
    tables = {}
    for kind in kinds:
        for name in KINDS[kind].model_fields_set:
            table = getattr(KINDS[kind], name)
            tables[name] = table.model_copy(update={"probability": probability})
    return Augmentation(**tables)


def changed(crops: Crops, kind: str) -> Crops:
    """Every picture changed by a kind, the same way for every setting."""
    _, height, width, _ = crops.images.shape
    augmenter = Augmenter(KINDS[kind], Crop(height=height, width=width))
    return replace(crops, images=augmenter(crops.images, seed=0))


def first_of_each(crops: Crops, seed: int) -> Crops:
    """So many pictures of each class, drawn by the seed."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [
            rng.permutation(np.flatnonzero(crops.labels == label))[:EACH_TRAIN]
            for label in range(len(crops.people))
        ]
    )
    return Crops(crops.people, crops.images[rows], crops.labels[rows])


def tiles(picture: Images) -> dict[str, Images]:
    """A picture [H, W, 3] as it is, and changed by each kind."""
    size = Crop(height=picture.shape[0], width=picture.shape[1])
    found = {"original": picture}
    for kind, recipe in KINDS.items():
        found[kind] = Augmenter(recipe, size)(picture[None], TILE_SEED)[0]
    return found


def _digits(kinds: Sequence[str], seed: int, epochs: int, split: Split) -> Tested:
    recipe = recipes.digits(
        seed, epochs * DIGIT_EPOCHS, batches=DIGIT_BATCHES, augmentation=together(kinds)
    )
    lesson = learn(recipe, first_of_each(split.train, seed))
    learner = lesson.learner
    looked_at = kinds if len(kinds) == 1 else () if kinds else KINDS
    return Tested(
        lesson=lesson,
        wrong=classes.wrong(learner, split.test),
        changed={kind: classes.wrong(learner, changed(split.test, kind)) for kind in looked_at},
    )


def _of_faces(kinds: Sequence[str], seed: int, epochs: int) -> Recipe:
    return recipes.faces(seed, epochs, augmentation=together(kinds))


def _error(wrong: Wrong) -> float:
    return PER_CENT * float(wrong.mean())


def _compared(
    faces: Mapping[str, Sequence[FaceFit]], digits: Mapping[str, Sequence[Tested]]
) -> tuple[Comparison, ...]:
    added = [(NONE, second) for second in (ALL, *KINDS)]
    last = [(BUT.format(kind), ALL) for kind in KINDS]
    flips = [(NONE, BUT.format(FLIP)), (BUT.format(FLIP), ALL)]
    return (
        *(fits.eers_compared(faces, *pair) for pair in (*added, *last)),
        *(fits.errors_compared(digits, *pair) for pair in (*added, *flips)),
        *(_changed_compared(digits, kind) for kind in KINDS),
    )


def _changed_compared(digits: Mapping[str, Sequence[Tested]], kind: str) -> Comparison:
    """None and the kind alone, on pictures changed by the kind."""
    first, second = ([fit.changed[kind] for fit in digits[each]] for each in (NONE, kind))
    between = Between(CHANGED.format(kind), NONE, kind)
    return of_units(between, first, second, "test pictures", PER_CENT)


def _draw(tables: Sequence[Table], comparisons: Sequence[Comparison]) -> Figure:
    faces, digits = tables
    drawn, panels = figure.grid(10.0, rows=3, columns=2)
    shown = list(tiles(_flower()).items())
    half = -(-len(shown) // 2)
    for axes, part in zip(panels[:2], (shown[:half], shown[half:]), strict=True):
        _tiled(axes, part)
    plain, whole, few = faces.means[NONE][EER], faces.means[ALL][EER], digits.means[NONE][ERROR]
    eers, errors = ([each for each in comparisons if each.figure == name] for name in (EER, ERROR))
    own = [each for each in comparisons if each.figure not in {EER, ERROR}]
    charts = {
        f"Unseen people: added to none ({plain:.1f} %)": _seconds(eers, NONE),
        f"Unseen people: the last of all ({whole:.1f} %)": list(
            zip(KINDS, eers[-len(KINDS) :], strict=True)
        ),
        f"Digits: added to none ({few:.1f} %)": _seconds(errors, NONE),
        "Digits changed by the added kind": _seconds(own, NONE),
    }
    for axes, (title, chart) in zip(panels[2:], charts.items(), strict=True):
        name = "EER" if title.startswith("Unseen") else "error"
        _changes(axes, chart, f"change of the {name} (percentage points)")
        axes.set_title(title, fontsize=11)
    return drawn


def _seconds(found: Iterable[Comparison], first: str) -> list[tuple[str, Comparison]]:
    """Of comparisons with a setting, by the other one."""
    return [(each.second, each) for each in found if each.first == first]


def _flower() -> Images:
    """A picture without people that scikit-learn ships, [TILE, TILE, 3]."""
    picture = load_sample_image("flower.jpg")[:420, 150:570]
    scaled: Images = cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA)
    return scaled


def _tiled(axes: Axes, found: Sequence[tuple[str, Images]]) -> None:
    """Two in a row, each under its name."""
    canvas = np.full((-(-len(found) // 2) * (TILE + GAP), 2 * (TILE + 4), 3), 255, dtype=np.uint8)
    for number, (name, tile) in enumerate(found):
        row, column = divmod(number, 2)
        top, left = row * (TILE + GAP) + GAP, column * (TILE + 4)
        canvas[top : top + TILE, left : left + TILE] = tile
        axes.text(left + TILE / 2, top - 5, name, ha="center", fontsize=10)
    axes.imshow(canvas)
    axes.set_axis_off()


def _changes(axes: Axes, found: Sequence[tuple[str, Comparison]], name: str) -> None:
    """Differences with their intervals, each by its name."""
    places = range(len(found))
    middles = [each.difference for _, each in found]
    reach = [
        [each.difference - each.low for _, each in found],
        [each.high - each.difference for _, each in found],
    ]
    axes.errorbar(middles, places, xerr=reach, fmt="o", color=figure.COLOURS[0], capsize=3)
    axes.axvline(0, color="#222222", linewidth=0.8)
    axes.set_yticks(places, [setting for setting, _ in found])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(name)


EXPERIMENT = Experiment(
    claim=(
        "Changing the training pictures makes many out of few and the network better: flips about "
        "an axis that keeps the meaning, slight rotations for a tilted horizon, crops, shifts of "
        "colour, noise, which makes it tolerant of bad quality, blotted parts, and contrast."
    ),
    rule=(
        "Reproduced if all seven together lower the EER on unseen people; if all but flips lower "
        "the error on unseen digits, learned from six of each; if flips, which do not keep the "
        "meaning of a digit, raise it again; and if noise alone lowers the error on noisy digits; "
        "each with a 95 % interval on its side of 0."
    ),
    data="digits and faces",
    quick=Scale(seeds=3, epochs=12),
    full=Scale(seeds=5, epochs=60),
    run=_run,
)
