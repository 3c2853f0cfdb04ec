"""A fake experiment, and tables of made-up numbers."""

from mien_training.lab import figure
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.experiments import Listed
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table, Verdict

LISTED = Listed("made-up", "A made-up experiment")


def table(title: str, **figures: dict[str, float]) -> Table:
    """One seed; settings and their figures."""
    return Table.of(title, [Row(setting=name, seed=1, figures=f) for name, f in figures.items()])


def comparison(low: float, high: float, **changed: float | str) -> Comparison:
    middle = (low + high) / 2
    known = Comparison(
        figure="error (%)",
        first="a",
        second="b",
        first_value=10.0,
        second_value=10.0 + middle,
        difference=middle,
        low=low,
        high=high,
        p_value=0.5,
        resampled="10 pictures",
    )
    return known.model_copy(update=changed)


def run(trial: Trial) -> Result:
    rows = [
        Row(setting=setting, seed=seed, figures={"error (%)": 3.25 * seed + extra})
        for setting, extra in (("a", 0.0), ("b", 1.0))
        for seed in trial.seeds
    ]
    errors = Table.of("Errors", rows)
    curve = Curve.of("loss", "a", range(3), (1.0, 0.5, 1 / 3))
    drawn, (axes,) = figure.grid(2.0)
    figure.lines(axes, [curve])
    finding = Finding(
        verdict=Verdict.NOT_REPRODUCED,
        sentence=f"The error is {errors.means['a']['error (%)']:.2f} % of <all>.",
    )
    return Result((errors,), (comparison(-1, 2),), (curve,), finding, drawn)


EXPERIMENT = Experiment(
    claim="Errors fall.",
    rule="Reproduced if they do.",
    data="none",
    quick=Scale(seeds=2, epochs=1),
    full=Scale(seeds=3, epochs=5),
    run=run,
)
