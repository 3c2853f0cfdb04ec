"""Batch normalisation: higher learning rates, and any first weights."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from mien_training.config.layers import He, Initialisation, Normal
from mien_training.config.networks import Cnn
from mien_training.config.optimisation import Sgd
from mien_training.config.recipe import Recipe
from mien_training.lab import figure, fits, recipes
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.fits import EER, STEPS, FaceFit
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table
from mien_training.lab.verdict import every, is_smaller

WITHOUT, WITH = "without", "with"
RATES = (0.01, 0.1, 1.0)
HE, SMALL, LARGE = "He", "σ = 0.01", "σ = 0.5"
WEIGHTS: dict[str, Initialisation] = {
    SMALL: Normal(kind="normal", deviation=0.01),
    HE: He(kind="he"),
    LARGE: Normal(kind="normal", deviation=0.5),
}
USUAL_RATE = 0.1
"""For different first weights; that of the shipped recipes for the ORL faces."""
PLACES = (*((rate, HE) for rate in RATES), (USUAL_RATE, SMALL), (USUAL_RATE, LARGE))


SPAN = "EERs over first weights, largest less least (points)"


def setting(normalised: str, rate: float, weights: str) -> str:
    return f"{normalised}, η = {rate:g}, {weights}"


def _run(trial: Trial) -> Result:
    data = trial.faces(recipes.FACE_SIDE)
    found: dict[str, list[FaceFit]] = {
        setting(normalised, rate, weights): fits.on_faces(
            [_recipe(seed, trial.epochs, normalised, rate, weights) for seed in trial.seeds],
            data,
        )
        for normalised in (WITHOUT, WITH)
        for rate, weights in PLACES
    }
    table = Table.of(
        "A face network with and without batch normalisation",
        fits.rows(found, lambda lesson: {STEPS: float(len(lesson.log))}),
    )
    comparisons = tuple(
        fits.eers_compared(found, *(setting(each, *place) for each in (WITHOUT, WITH)))
        for place in PLACES
    )
    curves = [curve for each in (WITHOUT, WITH) for curve in _curves(table, each)]
    spans = spans_of(table)
    finding = judge(table, spans, comparisons)
    return Result((table, spans), comparisons, tuple(curves), finding, _draw(table, curves))


def judge(table: Table, spans: Table, comparisons: Sequence[Comparison]) -> Finding:
    """Comparisons are from without to with, in the order of `PLACES`."""
    by_place = dict(zip(PLACES, comparisons, strict=True))
    decisive = (max(RATES), HE), (USUAL_RATE, SMALL), (USUAL_RATE, LARGE)
    eers = {
        each: {place: table.means[setting(each, *place)][EER] for place in PLACES}
        for each in (WITHOUT, WITH)
    }
    rates = ", ".join(
        f"{eers[WITHOUT][rate, HE]:.1f} % and {eers[WITH][rate, HE]:.1f} % at η = {rate:g}"
        for rate in RATES
    )
    weights = ", ".join(
        f"{eers[WITHOUT][USUAL_RATE, name]:.1f} % and {eers[WITH][USUAL_RATE, name]:.1f} % "
        f"with {name}"
        for name in WEIGHTS
    )
    return Finding(
        verdict=every(is_smaller(by_place[place]) for place in decisive),
        sentence=(
            f"EERs over unseen people without and with batch normalisation are {rates}; and by "
            f"first weights, at η = {USUAL_RATE:g}, {weights}. Over first weights they span "
            f"{spans.means[WITHOUT][SPAN]:.1f} points without and "
            f"{spans.means[WITH][SPAN]:.1f} with."
        ),
    )


def spans_of(table: Table) -> Table:
    """From the least to the largest EER over first weights, for each seed."""
    eers = {(row.setting, row.seed): row.figures[EER] for row in table.rows}
    rows = []
    for normalised in (WITHOUT, WITH):
        for seed in sorted({row.seed for row in table.rows}):
            values = [eers[setting(normalised, USUAL_RATE, name), seed] for name in WEIGHTS]
            span = {SPAN: max(values) - min(values)}
            rows.append(Row(setting=normalised, seed=seed, figures=span))
    return Table.of("By first weights", rows)


def _recipe(seed: int, epochs: int, normalised: str, rate: float, weights: str) -> Recipe:
    network = Cnn(
        kind="cnn",
        channels=(8, 16, 32, 64),
        activation="relu",
        batch_normalisation=normalised == WITH,
        initialisation=WEIGHTS[weights],
    )
    return recipes.faces(
        seed, epochs, network=network, optimiser=Sgd(kind="sgd", learning_rate=rate)
    )


def _curves(table: Table, normalised: str) -> list[Curve]:
    rates = [table.means[setting(normalised, rate, HE)][EER] for rate in RATES]
    weights = [table.means[setting(normalised, USUAL_RATE, name)][EER] for name in WEIGHTS]
    return [
        Curve.of("learning rate", normalised, RATES, rates),
        Curve.of("first weights", normalised, range(len(WEIGHTS)), weights),
    ]


def _draw(table: Table, curves: Sequence[Curve]) -> Figure:
    drawn, (rates, weights) = figure.grid(3.8, columns=2)
    for axes, panel in ((rates, "learning rate"), (weights, "first weights")):
        figure.lines(axes, [curve for curve in curves if curve.panel == panel])
        axes.set_ylabel(EER)
    for number, each in enumerate((WITHOUT, WITH)):
        mark, colour = figure.MARKERS[number], figure.COLOURS[number]
        for rate in RATES:
            values = table.seeds_of(setting(each, rate, HE), EER)
            rates.plot([rate] * len(values), values, mark, color=colour, markersize=4)
        for place, name in enumerate(WEIGHTS):
            values = table.seeds_of(setting(each, USUAL_RATE, name), EER)
            weights.plot([place] * len(values), values, mark, color=colour, markersize=4)
    rates.set(xscale="log", xlabel="learning rate η", title="Higher learning rates (He)")
    rates.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    weights.set_xticks(range(len(WEIGHTS)), [SMALL, HE, LARGE])
    weights.set(xlabel="first weights", title=f"First weights (η = {USUAL_RATE:g})")
    rates.legend(frameon=False, fontsize=9, title="batch normalisation")
    for axes in (rates, weights):
        axes.set_ylim(0, 1.05 * max(row.figures[EER] for row in table.rows))
    return drawn


EXPERIMENT = Experiment(
    claim=(
        "Normalising each layer's values over the batch, after a fully connected or convolutional "
        "layer and before its activation function, allows higher learning rates and makes the "
        "network depend less on its first weights."
    ),
    rule=(
        "Reproduced if the EER over unseen people is smaller with batch normalisation than "
        "without at the highest learning rate, and at the usual one with too small and with too "
        "large first weights, each interval below 0; not reproduced if one lies above it."
    ),
    data="faces",
    quick=Scale(seeds=3, epochs=12),
    full=Scale(seeds=10, epochs=60),
    run=_run,
)
