"""Filters: the course's Gaussian masks, and what the first layer of a network learns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import cv2
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_image
from torch import nn

from mien_training.config.networks import Cnn
from mien_training.data import Crops
from mien_training.lab import comparison, figure, recipes
from mien_training.lab.comparison import PER_CENT, Between
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.learning import learn
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, holds, is_larger, is_smaller
from mien_training.lab.verification import Verified
from mien_training.learner import Learner
from mien_training.networks.cnn import PlainNetwork
from mien_training.networks.embedding import EmbeddingNetwork, normalised

Values = npt.NDArray[np.float64]

QUARTER_7 = ((16, 8, 4, 2), (8, 4, 2, 2), (4, 2, 2, 1), (2, 2, 1, 1))
QUARTER_15 = (
    (20, 19, 18, 16, 13, 11, 8, 6),
    (19, 19, 17, 15, 13, 10, 8, 6),
    (18, 17, 16, 14, 12, 10, 7, 5),
    (16, 15, 14, 13, 11, 9, 7, 5),
    (13, 13, 12, 10, 9, 7, 5, 4),
    (11, 10, 10, 9, 7, 6, 4, 3),
    (8, 8, 7, 7, 5, 4, 3, 2),
    (6, 6, 5, 5, 4, 3, 2, 2),
)
"""Of the course's two masks, from the middle downwards and to the right; the other quarters are
its mirror images."""
SIGMAS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.5)
SMALL, LARGE = 1.0, 4.5
"""The σ that are compared; the larger is that of the course's 15×15 mask."""
TRIED = np.arange(50, 801, 2) / 100
"""σ, pixels, to find a mask among."""
SCALES = np.arange(400, 1200) / 1000
"""Of the largest entry, what a Gaussian is multiplied by before rounding."""
HELD = 0.99
"""Share of a Gaussian's weight that a mask is to hold."""
SIDE = 64
"""Pixels of the faces that are smoothed."""
KERNEL, CHANNELS = 5, (16, 32, 64)
DRAWN, LEARNED = "as drawn at first", "learned"
ENTRIES, EQUAL, SIGMA, SCALE = "entries", "entries of the nearest Gaussian", "its σ", "its scale"
UNLIKE = "entries below their transpose's"
ROUGH = "squared differences of neighbours left (%)"
ACROSS = "samples across for 99 % of the weight"
LIKE_NEIGHBOUR, EER = "correlation of neighbouring weights", "EER (%)"


class Nearest(NamedTuple):
    """The Gaussian whose rounded samples have most entries in common with a mask."""

    equal: int
    sigma: float
    scale: float


@dataclass(frozen=True)
class Fit:
    """First layers, and what the network says of unseen people."""

    filters: Values
    """[F, KERNEL, KERNEL], summed over the three channels, which in a grey picture are the same."""
    verified: Verified
    network: EmbeddingNetwork


def _run(trial: Trial) -> Result:
    grey = trial.faces(SIDE).test.images.mean(axis=3)
    left = {f"σ = {sigma:g}": roughness_left(grey, sampled(sigma)) for sigma in SIGMAS}
    of_masks = {name: roughness_left(grey, mask) for name, mask in masks().items()}
    tables = (
        Table.of("The course's masks", _mask_rows(of_masks, trial.seed)),
        Table.of("Gaussians", _sigma_rows(left, trial.seed)),
    )
    split = trial.faces(recipes.FACE_SIDE)
    fits = {
        setting: [_fit(setting, seed, trial.epochs, split) for seed in trial.seeds]
        for setting in (DRAWN, LEARNED)
    }
    learned = Table.of("First layer, and unseen people", _fit_rows(fits, trial.seeds))
    comparisons = (
        comparison.of_units(
            Between(ROUGH, f"σ = {SMALL:g}", f"σ = {LARGE:g}"),
            left[f"σ = {SMALL:g}"],
            left[f"σ = {LARGE:g}"],
            "test pictures",
            PER_CENT,
        ),
        comparison.of_units(
            Between(LIKE_NEIGHBOUR, DRAWN, LEARNED),
            [like_neighbours(fit.filters) for fit in fits[DRAWN]],
            [like_neighbours(fit.filters) for fit in fits[LEARNED]],
            "filters",
        ),
        comparison.of_eers(
            Between(EER, DRAWN, LEARNED),
            *([fit.verified for fit in fits[each]] for each in (DRAWN, LEARNED)),
        ),
    )
    curves = (*_profiles(), *_by_sigma(tables[1]))
    finding = judge(*tables, comparisons)
    drawn = _draw(tables[0], curves, {name: each[0] for name, each in fits.items()}, split.train)
    return Result((*tables, learned), comparisons, curves, finding, drawn)


def judge(masks_: Table, gaussians: Table, comparisons: Sequence[Comparison]) -> Finding:
    smoothing, smooth, eer = comparisons
    small, large = (masks_.means[name] for name in masks())
    across = [figures[ACROSS] for figures in gaussians.means.values()]
    rough = [figures[ROUGH] for figures in gaussians.means.values()]
    verdict = every(
        (
            *(holds(each[EQUAL] == each[ENTRIES]) for each in (small, large)),
            holds(across == sorted(set(across))),
            holds(rough == sorted(set(rough), reverse=True)),
            is_smaller(smoothing),
            is_larger(smooth),
        )
    )
    return Finding(
        verdict=verdict,
        sentence=(
            f"No σ gives the course's 7×7 mask: rounded samples of a Gaussian have at most "
            f"{small[EQUAL]:.0f} of its {small[ENTRIES]:.0f} entries, which are powers of two. The "
            f"15×15 mask is one of σ = {large[SIGMA]:.1f}, times {large[SCALE]:.2f}, but for "
            f"{large[ENTRIES] - large[EQUAL]:.0f} of {large[ENTRIES]:.0f} entries; "
            f"{large[UNLIKE]:.0f} differ from those at the transposed places, as in no Gaussian. "
            f"To hold 99 % of the weight takes {across[0]:.0f} samples across at "
            f"σ = {SIGMAS[0]:g} and {across[-1]:.0f} at {SIGMAS[-1]:g}. Of the squared "
            f"differences between neighbouring pixels of a face σ = {SMALL:g} leaves "
            f"{smoothing.first_value:.1f} %, σ = {LARGE:g} {smoothing.second_value:.1f} % "
            f"(p = {smoothing.p_value:.2g}), the 7×7 mask {small[ROUGH]:.1f} %, the 15×15 "
            f"{large[ROUGH]:.1f} %. Learning takes the correlation of neighbouring weights in the "
            f"first layer from {smooth.first_value:.2f} to {smooth.second_value:.2f} "
            f"({smooth.low:+.2f} to {smooth.high:+.2f}, p = {smooth.p_value:.2g}), and the EER "
            f"on unseen people from {eer.first_value:.1f} % with a first layer left as drawn to "
            f"{eer.second_value:.1f} % ({eer.low:+.1f} to {eer.high:+.1f}, p = {eer.p_value:.2g})."
        ),
    )


def masks() -> dict[str, Values]:
    return {"7×7": _whole(QUARTER_7), "15×15": _whole(QUARTER_15)}


def gaussian(side: int, sigma: float) -> Values:
    """exp(-(x² + y²) / 2σ²), [side, side]; the middle is 1."""
    line = np.arange(side, dtype=np.float64) - side // 2
    return np.asarray(np.exp(-(line**2 + line[:, None] ** 2) / (2 * sigma**2)))


def across(sigma: float) -> int:
    """The odd side of the smallest mask that holds 99 % of the weight."""
    whole = gaussian(2 * int(10 * sigma) + 1, sigma).sum()
    side = 1
    while gaussian(side, sigma).sum() < HELD * whole:
        side += 2
    return side


def sampled(sigma: float) -> Values:
    return gaussian(across(sigma), sigma)


def nearest(mask: Values) -> Nearest:
    best = Nearest(0, 0.0, 0.0)
    scales = SCALES[:, None, None] * mask.max()
    for sigma in TRIED:
        equal = (np.round(scales * gaussian(len(mask), sigma)) == mask).sum(axis=(1, 2))
        most = int(equal.argmax())
        if equal[most] > best.equal:
            best = Nearest(int(equal[most]), float(sigma), float(scales[most, 0, 0]))
    return best


def roughness_left(pictures: Values, mask: Values) -> Values:
    """[N, H, W] to [N]: squared differences of neighbours after the mask, by those before."""
    kernel = mask / mask.sum()
    smoothed = np.stack(
        [cv2.filter2D(each, -1, kernel, borderType=cv2.BORDER_REFLECT) for each in pictures]
    )
    return _roughness(smoothed) / _roughness(pictures)


def like_neighbours(filters: Values) -> Values:
    """[F, k, k] to [F]: the correlation of weights with those beside and below."""
    centred = filters - filters.mean(axis=(1, 2), keepdims=True)
    beside = (centred[:, :, 1:] * centred[:, :, :-1]).mean(axis=(1, 2))
    below = (centred[:, 1:] * centred[:, :-1]).mean(axis=(1, 2))
    return np.asarray((beside + below) / 2 / (centred**2).mean(axis=(1, 2)))


def _roughness(pictures: Values) -> Values:
    squares = [(np.diff(pictures, axis=axis) ** 2).sum(axis=(1, 2)) for axis in (1, 2)]
    return np.asarray(sum(squares))


def _whole(quarter: Sequence[Sequence[int]]) -> Values:
    right = np.asarray(quarter, dtype=np.float64)
    lower = np.concatenate([right[:, :0:-1], right], axis=1)
    return np.concatenate([lower[:0:-1], lower])


def _fit(setting: str, seed: int, epochs: int, split: Split) -> Fit:
    network = Cnn(kind="cnn", channels=CHANNELS, kernel=KERNEL, activation="relu")

    def look(learner: Learner, steps: int) -> None:
        if steps == 0 and setting == DRAWN:
            _first(learner.network).requires_grad_(False)

    lesson = learn(recipes.faces(seed, epochs, network=network), split.train, look=look)
    weights = _first(lesson.network).weight.detach().double().numpy()
    return Fit(weights.sum(axis=1), Verified.by(lesson.network, split.test), lesson.network)


def _first(network: EmbeddingNetwork) -> nn.Conv2d:
    """The first layer."""
    return next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))


def _mask_rows(left: Mapping[str, Values], seed: int) -> list[Row]:
    rows = []
    for name, mask in masks().items():
        found = nearest(mask)
        figures = {
            ENTRIES: float(mask.size),
            EQUAL: float(found.equal),
            SIGMA: found.sigma,
            SCALE: found.scale,
            UNLIKE: float((mask < mask.T).sum()),
            ROUGH: PER_CENT * float(left[name].mean()),
        }
        rows.append(Row(setting=name, seed=seed, figures=figures))
    return rows


def _sigma_rows(left: Mapping[str, Values], seed: int) -> list[Row]:
    return [
        Row(
            setting=name,
            seed=seed,
            figures={ACROSS: float(across(sigma)), ROUGH: PER_CENT * float(shares.mean())},
        )
        for sigma, (name, shares) in zip(SIGMAS, left.items(), strict=True)
    ]


def _fit_rows(fits: Mapping[str, Sequence[Fit]], seeds: Sequence[int]) -> list[Row]:
    return [
        Row(
            setting=setting,
            seed=seed,
            figures={
                LIKE_NEIGHBOUR: float(like_neighbours(fit.filters).mean()),
                EER: PER_CENT * fit.verified.eer,
            },
        )
        for setting, each in fits.items()
        for seed, fit in zip(seeds, each, strict=True)
    ]


def _profiles() -> list[Curve]:
    """Entries, by the squared distance from the middle, over which a Gaussian's logarithm is a
    straight line."""
    curves = []
    for name, mask in masks().items():
        line = np.arange(len(mask)) - len(mask) // 2
        squared = (line**2 + line[:, None] ** 2).ravel()
        order = np.argsort(squared, kind="stable")
        values = (mask / mask.max()).ravel()
        curves.append(Curve.of("masks", name, squared[order].tolist(), values[order].tolist()))
    return curves


def _by_sigma(gaussians: Table) -> list[Curve]:
    return [
        Curve.of(name, "Gaussian", SIGMAS, [each[name] for each in gaussians.means.values()])
        for name in (ACROSS, ROUGH)
    ]


def _draw(masks_: Table, curves: Sequence[Curve], fits: Mapping[str, Fit], train: Crops) -> Figure:
    drawn, panels = figure.grid(5.6, rows=2, columns=4)
    for curve in curves[:2]:
        look = _look_of(curve.setting)
        panels[0].plot(curve.x, curve.y, **look, markersize=3, linestyle="", label=curve.setting)
    panels[0].set(yscale="log", xlabel="squared distance", ylabel="weight by the largest")
    panels[0].set_title("The masks", fontsize=11)
    panels[0].legend(frameon=False, fontsize=9)
    for axes, curve, title in zip(
        panels[1:3], curves[2:], ("Samples needed", "Roughness left"), strict=True
    ):
        figure.lines(axes, [curve])
        axes.set(xlabel="σ (pixels)", ylim=0)
        axes.set_title(title, fontsize=11)
    panels[1].set_ylabel("samples across")
    panels[2].set_ylabel("squared differences left (%)")
    for name in masks():
        figures = masks_.means[name]
        panels[2].plot(figures[SIGMA], figures[ROUGH], **_look_of(name), linestyle="", label=name)
    panels[2].legend(frameon=False, fontsize=9)
    _pictured(panels[3], _smoothed(), "Flower: plain, σ = 1, σ = 4.5")
    for axes, (name, fit) in zip(panels[4:6], fits.items(), strict=True):
        _pictured(axes, mosaic(fit.filters, columns=4), f"First layer, {name}", fontsize=9)
    face = train.images.mean(axis=0, keepdims=True)
    _pictured(panels[6], face[0, ..., 0], "Mean of all faces", fontsize=10)
    maps = _maps(fits[LEARNED].network, face.round().astype(np.uint8))
    _pictured(panels[7], mosaic(maps[:9], columns=3), "Its feature maps", fontsize=10)
    return drawn


class Look(TypedDict):
    """Of the points of a mask."""

    marker: str
    color: str


def _look_of(mask: str) -> Look:
    """The same in all charts; the first colour is that of Gaussians."""
    number = 1 + list(masks()).index(mask)
    return {"marker": figure.MARKERS[number], "color": figure.COLOURS[number]}


def _pictured(axes: Axes, picture: Values, title: str, fontsize: int = 9) -> None:
    axes.imshow(picture, cmap="gray")
    axes.set_title(title, fontsize=fontsize)
    axes.set_axis_off()


def mosaic(pictures: Values, columns: int) -> Values:
    """[N, h, w], each stretched to 0 to 1, row by row with a white gap."""
    low = pictures.min(axis=(1, 2), keepdims=True)
    reach = np.maximum(pictures.max(axis=(1, 2), keepdims=True) - low, 1e-12)
    gap = max(1, pictures.shape[1] // 10)
    stretched = np.pad((pictures - low) / reach, ((0, 0), (0, gap), (0, gap)), constant_values=1.0)
    rows = [stretched[start : start + columns] for start in range(0, len(stretched), columns)]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


def _smoothed() -> Values:
    """A picture without people that scikit-learn ships, plain and under two Gaussians."""
    picture = load_sample_image("flower.jpg")[:420, 150:570].mean(axis=2)
    plain = cv2.resize(picture, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA)
    parts = [plain, *(cv2.filter2D(plain, -1, each / each.sum()) for each in _both())]
    return np.concatenate(parts)


def _both() -> tuple[Values, Values]:
    return sampled(SMALL), sampled(LARGE)


@torch.no_grad()
def _maps(network: EmbeddingNetwork, images: npt.NDArray[np.uint8]) -> Values:
    """[F, H, W], of the first layer with its normalisation and activation, before pooling."""
    backbone = network.backbone
    if not isinstance(backbone, PlainNetwork):
        raise TypeError(f"{type(backbone).__name__} has no blocks")
    block = backbone.blocks[0]
    if not isinstance(block, nn.Sequential):
        raise TypeError(f"a block of {type(block).__name__} has no layers")
    maps: Values = block[:-1](normalised(torch.from_numpy(images)))[0].double().numpy()
    return maps


EXPERIMENT = Experiment(
    claim=(
        "A Gaussian filter's weights are samples of a Gaussian, two masks are shown; the larger "
        "its σ, the more samples it takes and the more it smooths. A convolutional network learns "
        "its filters instead, each for a small pattern."
    ),
    rule=(
        "Reproduced if both masks are rounded samples of a Gaussian of some σ and scale; if the "
        "samples that hold 99 % of the weight grow with every σ and what is left of the "
        "differences between neighbouring pixels falls, beyond chance from σ = 1 to 4.5; and if "
        "in learned filters neighbouring weights are more alike than in those drawn at random. "
        "What a learned first layer is worth on unseen people is shown beside it."
    ),
    data="faces",
    quick=Scale(seeds=3, epochs=15),
    full=Scale(seeds=5, epochs=60),
    run=_run,
)
