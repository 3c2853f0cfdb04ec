"""Augmentation: the course's eight kinds of a picture, and what each is worth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
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
from mien_training.config.recipe import Batches, Crop
from mien_training.data import Crops, Images
from mien_training.lab import classes, comparison, figure, recipes
from mien_training.lab.comparison import PER_CENT, Between
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.learning import learn
from mien_training.lab.record import Comparison, Finding, Row, Table
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, is_larger, is_smaller
from mien_training.lab.verification import Verified
from mien_training.learner import Learner

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
FACE_SETTINGS = (NONE, FLIP, ALL)
ERROR, EER = "test error (%)", "EER (%)"
CHANGED = "test error on pictures with {} (%)"
STEPS_AS_FACES = 3
"""Epochs of the few digits for one of the faces."""
TILE, GAP = 112, 26
"""Pixels of a tile, and above it."""
TILE_SEED = 4
"""Draws a change of each kind that can be seen."""
Wrong = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tested:
    """Which test pictures are taken for another digit: as they are, and changed by a kind."""

    wrong: Wrong
    """[T]."""
    changed: Mapping[str, Wrong]
    """[T] each; of every kind for the setting without any, of its own for one alone."""


def _run(trial: Trial) -> Result:
    split = trial.digits(recipes.DIGIT_SIDE)
    digits = {
        setting: [_digits(setting, seed, trial.epochs, split) for seed in trial.seeds]
        for setting in settings()
    }
    people = trial.faces(recipes.FACE_SIDE)
    faces = {
        setting: [_faces(setting, seed, trial.epochs, people) for seed in trial.seeds]
        for setting in FACE_SETTINGS
    }
    table = Table.of(
        f"{len(split.train.people) * EACH_TRAIN} digits to learn from, "
        f"{len(split.test.labels)} to test on",
        _digit_rows(digits, trial.seeds),
    )
    eers = Table.of("Unseen people", _face_rows(faces, trial.seeds))
    comparisons = (*_of_faces(faces), *_of_digits(digits), *_of_changed(digits))
    finding = judge(table, eers, comparisons)
    return Result((table, eers), comparisons, (), finding, _draw(table, eers, comparisons))


def judge(digits: Table, faces: Table, comparisons: Sequence[Comparison]) -> Finding:
    """Looks its comparisons up by figure and settings."""
    by_name = {(each.figure, each.first, each.second): each for each in comparisons}
    for_faces = by_name[EER, NONE, ALL]
    for_digits = by_name[ERROR, NONE, BUT.format(FLIP)]
    flipped = by_name[ERROR, BUT.format(FLIP), ALL]
    noisy = by_name[CHANGED.format(NOISE), NONE, NOISE]
    verdict = every(
        (is_smaller(for_faces), is_smaller(for_digits), is_larger(flipped), is_smaller(noisy))
    )
    alone = _listed(by_name[ERROR, NONE, kind] for kind in KINDS)
    worth = _listed(by_name[ERROR, BUT.format(kind), ALL] for kind in KINDS)
    tolerant = [kind for kind in KINDS if by_name[CHANGED.format(kind), NONE, kind].high < 0]
    plain = digits.means[NONE][ERROR]
    return Finding(
        verdict=verdict,
        sentence=(
            f"On unseen people all seven take the EER from {_change(for_faces)}, flipping alone "
            f"to {faces.means[FLIP][EER]:.1f} %. Of a few digits to learn from, all but flipping, "
            f"which makes no digit of a digit, take the error from {_change(for_digits)}; adding "
            f"flips takes it from {_change(flipped)}. Alone added to none ({plain:.1f} %), in "
            f"percentage points: {alone}. Added as the last of the seven: {worth}. On noisy "
            f"digits noise takes the error from {_change(noisy)}; a kind alone helps on pictures "
            f"changed by itself, beyond chance, for {len(tolerant)} of {len(KINDS)} "
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


def _digits(setting: str, seed: int, epochs: int, split: Split) -> Tested:
    kinds = settings()[setting]
    recipe = recipes.digits(
        seed,
        epochs * STEPS_AS_FACES,
        batches=DIGIT_BATCHES,
        augmentation=together(kinds),
    )
    learner = learn(recipe, first_of_each(split.train, seed)).learner
    looked_at = KINDS if setting == NONE else kinds if len(kinds) == 1 else ()
    return Tested(
        wrong=classes.wrong(learner, split.test),
        changed={kind: _wrong_when_changed(learner, split.test, kind) for kind in looked_at},
    )


def _wrong_when_changed(learner: Learner, test: Crops, kind: str) -> Wrong:
    return classes.wrong(learner, changed(test, kind))


def _faces(setting: str, seed: int, epochs: int, split: Split) -> Verified:
    recipe = recipes.faces(seed, epochs, augmentation=together(settings()[setting]))
    return Verified.by(learn(recipe, split.train).network, split.test)


def _digit_rows(digits: Mapping[str, Sequence[Tested]], seeds: Sequence[int]) -> list[Row]:
    return [
        Row(
            setting=setting,
            seed=seed,
            figures={ERROR: PER_CENT * float(tested.wrong.mean())}
            | {
                CHANGED.format(kind): PER_CENT * float(wrong.mean())
                for kind, wrong in tested.changed.items()
            },
        )
        for setting, fits in digits.items()
        for seed, tested in zip(seeds, fits, strict=True)
    ]


def _face_rows(faces: Mapping[str, Sequence[Verified]], seeds: Sequence[int]) -> list[Row]:
    return [
        Row(setting=setting, seed=seed, figures={EER: PER_CENT * verified.eer})
        for setting, fits in faces.items()
        for seed, verified in zip(seeds, fits, strict=True)
    ]


def _of_faces(faces: Mapping[str, Sequence[Verified]]) -> list[Comparison]:
    return [
        comparison.of_eers(Between(EER, NONE, setting), faces[NONE], faces[setting])
        for setting in (ALL, FLIP)
    ]


def _of_digits(digits: Mapping[str, Sequence[Tested]]) -> list[Comparison]:
    pairs = [
        *((NONE, second) for second in (ALL, BUT.format(FLIP), *KINDS)),
        *((BUT.format(kind), ALL) for kind in KINDS),
    ]
    return [
        _of_units(
            Between(ERROR, first, second),
            *([fit.wrong for fit in digits[each]] for each in (first, second)),
        )
        for first, second in pairs
    ]


def _of_changed(digits: Mapping[str, Sequence[Tested]]) -> list[Comparison]:
    """None and the kind alone, on pictures changed by the kind."""
    return [
        _of_units(
            Between(CHANGED.format(kind), NONE, kind),
            *([fit.changed[kind] for fit in digits[each]] for each in (NONE, kind)),
        )
        for kind in KINDS
    ]


def _of_units(between: Between, first: Sequence[Wrong], second: Sequence[Wrong]) -> Comparison:
    return comparison.of_units(between, first, second, "test pictures", PER_CENT)


def _draw(table: Table, eers: Table, comparisons: Sequence[Comparison]) -> Figure:
    drawn, panels = figure.grid(10.0, rows=3, columns=2)
    shown = list(tiles(_flower()).items())
    for axes, part in zip(panels[:2], (shown[:4], shown[4:]), strict=True):
        _tiled(axes, part)
    of_error = [each for each in comparisons if each.figure == ERROR]
    of_own = [
        each for each in comparisons if each.second in KINDS and each.figure not in {ERROR, EER}
    ]
    alone, last, own, faces = panels[2:]
    _changes(alone, [(each.second, each) for each in of_error if each.first == NONE])
    alone.set_title(f"Digits: added to none ({table.means[NONE][ERROR]:.1f} %)", fontsize=11)
    _changes(last, list(zip(KINDS, of_error[-len(KINDS) :], strict=True)))
    last.set_title("Digits: added as the last of the seven", fontsize=11)
    _changes(own, [(each.second, each) for each in of_own])
    own.set_title("Digits changed by the kind that was added", fontsize=11)
    figure.bars(faces, FACE_SETTINGS, [eers.seeds_of(name, EER) for name in FACE_SETTINGS], EER)
    faces.set_title("Unseen people", fontsize=11)
    return drawn


def _flower() -> Images:
    """A picture without people that scikit-learn ships, [TILE, TILE, 3]."""
    picture = load_sample_image("flower.jpg")[:420, 150:570]
    scaled: Images = cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA)
    return scaled


def _tiled(axes: Axes, found: Sequence[tuple[str, Images]]) -> None:
    """Two in a row, each under its name."""
    canvas = np.full((len(found) // 2 * (TILE + GAP), 2 * (TILE + 4), 3), 255, dtype=np.uint8)
    for number, (name, tile) in enumerate(found):
        row, column = divmod(number, 2)
        top, left = row * (TILE + GAP) + GAP, column * (TILE + 4)
        canvas[top : top + TILE, left : left + TILE] = tile
        axes.text(left + TILE / 2, top - 5, name, ha="center", fontsize=10)
    axes.imshow(canvas)
    axes.set_axis_off()


def _changes(axes: Axes, found: Sequence[tuple[str, Comparison]]) -> None:
    """Differences with their intervals, each by its name."""
    places = range(len(found))
    middles = [each.difference for _, each in found]
    reach = [
        [each.difference - each.low for _, each in found],
        [each.high - each.difference for _, each in found],
    ]
    axes.errorbar(middles, places, xerr=reach, fmt="o", color=figure.COLOURS[0], capsize=3)
    axes.axvline(0, color="#222222", linewidth=0.8)
    axes.set_yticks(places, [name for name, _ in found])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("change of the error (% points)")


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
    quick=Scale(seeds=2, epochs=30),
    full=Scale(seeds=5, epochs=60),
    run=_run,
)
