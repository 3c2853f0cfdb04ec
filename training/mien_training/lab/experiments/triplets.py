"""How the selection of triplets decides what is left to learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor

from mien_training.config.losses import (
    BatchAll,
    BatchHard,
    DistanceWeighted,
    Losses,
    Random,
    Selection,
    SemiHard,
    Triplet,
)
from mien_training.data import Crops
from mien_training.lab import figure, fits, recipes
from mien_training.lab.comparison import PER_CENT, Between, of_eers, of_units
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.learning import Lesson, learn
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table, Verdict
from mien_training.lab.split import Split
from mien_training.lab.verdict import every, is_larger, is_smaller
from mien_training.lab.verification import Verified
from mien_training.learner import Learner
from mien_training.losses.triplet import TripletLoss
from mien_training.mining import Selection as Selected
from mien_training.mining import Selector

RANDOM, HARD = "random", "batch-hard"
SELECTIONS: dict[str, Selection] = {
    RANDOM: Random(kind="random"),
    "semi-hard": SemiHard(kind="semi_hard"),
    HARD: BatchHard(kind="batch_hard"),
    "batch-all": BatchAll(kind="batch_all"),
    "distance-weighted": DistanceWeighted(kind="distance_weighted"),
}
PARTS = 5
"""The last fifth of the steps is what a run has come to."""
PIECES = 6
"""Of a fifth, which chance draws again: 6 epochs of 30. Neighbouring steps are much alike, so that
single ones would make intervals too narrow."""
WINDOW = 9
"""Steps, an epoch of the ORL faces, over which drawn curves are averaged."""
LOOKS = 10
"""Times that unseen people are looked at, evenly over a run."""
START, END = "share with a loss, first fifth (%)", "share with a loss, last fifth (%)"
ACTIVE = "share of all triplets with a loss, last fifth (%)"
WITHIN, BETWEEN = "distance within people, last fifth", "distance between people, last fifth"
GRADIENT, EER = "gradient norm, last fifth", "EER on unseen people (%)"
STOPPED = "stopped by diagnose (1: yes)"

Steps: TypeAlias = npt.NDArray[np.float64]
"""[steps]."""


@dataclass(frozen=True)
class Recorded:
    """A selector that keeps what share of the triplets that it selected had a loss."""

    select: Selector
    shares: list[float]
    """One is added at each call; 0 where it selected none."""

    def __call__(self, distances: Tensor, labels: Tensor, margin: float) -> Selected:
        found = self.select(distances, labels, margin)
        self.shares.append(found.active / max(found.selected, 1))
        return found


@dataclass(frozen=True)
class Run:
    """One fit, step by step."""

    lesson: Lesson
    shares: tuple[float, ...]
    """Of the selected triplets, those with a loss; [steps], without one that was not taken."""
    looked: tuple[tuple[int, float], ...]
    """Steps behind it, and the EER on unseen people in per cent."""
    verified: Verified
    """At the end."""

    @property
    def left(self) -> list[float]:
        """Of all triplets of the batches, those with a loss; [steps]."""
        return self.lesson.column("active_triplets")

    def row(self, setting: str, **more: float) -> Row:
        """Of its own steps, where it was stopped; without what steps tell where it made none."""
        told = {
            EER: PER_CENT * self.verified.eer,
            STOPPED: float(self.lesson.stopped is not None),
        }
        return fits.row(self.lesson, setting, self._of_steps() | told | more)

    def _of_steps(self) -> dict[str, float]:
        if not self.shares:
            return {}
        return {
            START: PER_CENT * float(np.mean(_first(self.shares))),
            END: PER_CENT * float(np.mean(_last(self.shares))),
            ACTIVE: PER_CENT * float(np.mean(_last(self.left))),
            GRADIENT: float(np.mean(_last(self.lesson.column("gradient_norm")))),
            WITHIN: float(np.mean(_last(self.lesson.column("within_distance")))),
            BETWEEN: float(np.mean(_last(self.lesson.column("between_distance")))),
        }


def _run(trial: Trial) -> Result:
    data = trial.faces(recipes.FACE_SIDE)
    runs = {
        setting: [fit(seed, trial.epochs, selection, data) for seed in trial.seeds]
        for setting, selection in SELECTIONS.items()
    }
    table = Table.of("Selections of triplets", fits.rows(runs))
    comparisons = _compared(runs)
    curves = [curve for setting in runs for curve in _curves(setting, runs[setting])]
    causes = {setting: _causes(of_setting) for setting, of_setting in runs.items()}
    finding = judge(table, comparisons, causes)
    return Result((table,), comparisons, tuple(curves), finding, _draw(curves))


def judge(
    table: Table, comparisons: Sequence[Comparison], causes: Mapping[str, Sequence[str]]
) -> Finding:
    """Comparisons of random with batch-hard: of the share with a loss, and of the EER.

    `causes`: why diagnose stopped runs of a setting, one for each that it stopped. Shares of steps
    are compared only where it stopped none of the two.
    """
    by_figure = {each.figure: each for each in comparisons if each.first == HARD}
    worse = by_figure[EER]
    rates = ", ".join(f"{table.means[name][EER]:.1f} with {name}" for name in SELECTIONS)
    sentences = [
        f"Equal error rate on unseen people in per cent: {rates}; random less batch-hard "
        f"{worse.difference:+.1f} ({worse.low:+.1f} to {worse.high:+.1f}).",
        *(_told_of_stopped(table, name, found) for name, found in causes.items() if found),
    ]
    if causes.get(RANDOM) or causes.get(HARD):
        sentences.append("So random and batch-hard did not learn alike, and nothing is decided.")
        return Finding(verdict=Verdict.INCONCLUSIVE, sentence=" ".join(sentences))
    fewer, left = by_figure[END], by_figure[ACTIVE]
    return Finding(
        verdict=every([is_smaller(fewer), is_larger(worse)]),
        sentence=" ".join([_told_of_shares(table, left), *sentences]),
    )


def _told_of_shares(table: Table, left: Comparison) -> str:
    means = table.means
    return (
        f"Of random triplets {means[RANDOM][START]:.1f} % have a loss in the first fifth of the "
        f"steps and {means[RANDOM][END]:.1f} % in the last, of batch-hard ones "
        f"{means[HARD][START]:.1f} % and {means[HARD][END]:.1f} %. In the end random ones leave "
        f"{means[RANDOM][ACTIVE]:.2f} % of all triplets of the batches with a loss, batch-hard "
        f"ones {means[HARD][ACTIVE]:.2f} % ({left.low:+.2f} to {left.high:+.2f} more)."
    )


def _told_of_stopped(table: Table, setting: str, causes: Sequence[str]) -> str:
    runs = len(table.seeds_of(setting, STOPPED))
    return (
        f"Diagnose stopped {len(causes)} of {runs} with {setting}, measured as it stood: "
        f"{causes[0].rstrip('.')}."
    )


def _causes(runs: Sequence[Run]) -> list[str]:
    return [run.lesson.stopped for run in runs if run.lesson.stopped is not None]


def fit(seed: int, epochs: int, selection: Selection, data: Split) -> Run:
    watching = Watching(data.test)
    losses = Losses(triplet=Triplet(selection=selection))
    lesson = learn(recipes.faces(seed, epochs, losses=losses), data.train, look=watching)
    verified = Verified.by(lesson.network, data.test)
    shares = watching.shares[: len(lesson.log)]
    return Run(lesson, tuple(shares), tuple(watching.looked), verified)


class Watching:
    """Records what the loss selects, and now and then how well unseen people are told apart."""

    def __init__(self, unseen: Crops) -> None:
        self._unseen = unseen
        self.shares: list[float] = []
        self.looked: list[tuple[int, float]] = []

    def __call__(self, learner: Learner, step: int) -> None:
        if step == 0:
            (term,) = learner.losses.terms.values()
            if not isinstance(term, TripletLoss):
                raise TypeError(f"{type(term).__name__} selects no triplets")
            term.select = Recorded(term.select, self.shares)
        if step % max(1, learner.recipe.epochs * learner.steps_per_epoch // LOOKS) == 0:
            learner.network.eval()
            eer = Verified.by(learner.network, self._unseen).eer
            learner.network.train()
            self.looked.append((step, PER_CENT * eer))


def _first(values: Sequence[float]) -> Sequence[float]:
    return values[: max(1, len(values) // PARTS)]


def _last(values: Sequence[float]) -> Sequence[float]:
    """In whole pieces, if there are as many."""
    count = max(1, len(values) // PARTS)
    return values[-(count - count % PIECES if count > PIECES else count) :]


def _pieces(values: Sequence[float]) -> list[float]:
    """Means of the pieces of the last fifth."""
    last = np.asarray(_last(values))
    return [float(piece.mean()) for piece in np.array_split(last, min(PIECES, len(last)))]


def _compared(runs: dict[str, list[Run]]) -> tuple[Comparison, ...]:
    rates = [
        of_eers(
            Between(EER, setting, RANDOM),
            [run.verified for run in runs[setting]],
            [run.verified for run in runs[RANDOM]],
        )
        for setting in runs
        if setting != RANDOM
    ]
    return (*_shares_compared(runs[HARD], runs[RANDOM]), *rates)


def _shares_compared(hard: Sequence[Run], random: Sequence[Run]) -> list[Comparison]:
    """None where diagnose stopped a run, since the same steps are compared."""
    if _causes([*hard, *random]):
        return []
    columns = {
        END: ([_pieces(run.shares) for run in of_one] for of_one in (hard, random)),
        ACTIVE: ([_pieces(run.left) for run in of_one] for of_one in (hard, random)),
    }
    return [
        of_units(Between(name, HARD, RANDOM), one, other, "pieces of the run", scale=PER_CENT)
        for name, (one, other) in columns.items()
    ]


def _curves(setting: str, runs: Sequence[Run]) -> list[Curve]:
    """Means over the seeds."""
    per_step: dict[str, list[Sequence[float]]] = {
        "selected": [run.shares for run in runs],
        "active": [run.left for run in runs],
        "gradient": [run.lesson.column("gradient_norm") for run in runs],
        "within": [run.lesson.column("within_distance") for run in runs],
        "between": [run.lesson.column("between_distance") for run in runs],
    }
    curves = [
        Curve.of(
            panel, setting, *_smoothed(np.asarray(fits.mean_of(columns)) * SCALES.get(panel, 1))
        )
        for panel, columns in per_step.items()
    ]
    rates = fits.mean_of([[eer for _, eer in run.looked] for run in runs])
    steps = [step for step, _ in runs[0].looked][: len(rates)]
    return [*curves, Curve.of("eer", setting, steps, rates)]


def _smoothed(values: Steps) -> tuple[list[float], list[float]]:
    """Means over windows of steps, at the windows' last steps."""
    whole = len(values) // WINDOW * WINDOW
    if not whole:
        return list(range(1, len(values) + 1)), values.tolist()
    means = values[:whole].reshape(-1, WINDOW).mean(axis=1)
    return (WINDOW * np.arange(1, len(means) + 1.0)).tolist(), means.tolist()


HEADROOM = 1.06
"""Of the highest value, so that no line lies on the edge."""
SCALES = {"selected": PER_CENT, "active": PER_CENT}
PANELS = {
    "selected": "selected triplets\nwith a loss (%)",
    "active": "all triplets\nwith a loss (%)",
    "gradient": "gradient norm",
    "within": "distance within people",
    "between": "distance between people",
    "eer": "EER on unseen people (%)",
}


def _draw(curves: Sequence[Curve]) -> Figure:
    drawn, panels = figure.grid(5.6, rows=2, columns=3)
    for axes, (panel, name) in zip(panels, PANELS.items(), strict=True):
        figure.lines(axes, [curve for curve in curves if curve.panel == panel])
        axes.set(xlabel="steps", ylabel=name)
        axes.set_ylim(0, HEADROOM * axes.dataLim.ymax)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return drawn


EXPERIMENT = Experiment(
    claim=(
        "Which triplets are selected decides whether learning goes on: of triplets drawn at random "
        "soon nearly all keep the margin already and teach nothing, so that learning stalls, where "
        "hard or semi-hard ones of the same batch still have a loss."
    ),
    rule=(
        "Reproduced if, in the last fifth of the steps, a smaller share of random triplets than of "
        "batch-hard ones has a loss, and random triplets end with the larger equal error rate on "
        "unseen people, both by intervals on one side of 0; not reproduced if either lies on the "
        "other side; inconclusive, too, if diagnose stops a run of one of the two."
    ),
    data="faces",
    quick=Scale(seeds=3, epochs=30),
    full=Scale(seeds=5, epochs=120),
    run=_run,
)
