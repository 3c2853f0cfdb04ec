"""What layers are worth: removed from the upper feature extractor, from the fully connected part,
and from both (Zeiler and Fergus 2014, table 3), and what filters are worth.
"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from mien_training.config.networks import Cnn
from mien_training.lab import figure, fits, recipes
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.fits import EER, ERROR, PARAMETERS, DigitFit, FaceFit
from mien_training.lab.learning import Lesson
from mien_training.lab.record import Comparison, Curve, Finding, Row, Table, Verdict
from mien_training.lab.verdict import every, is_larger

CHANNELS, HIDDEN = (8, 16, 16), 128
WHOLE, FOUR = "all 8 layers", "without 3, 4, 6, 7"
TOP, CLASSIFIER, UPPER = "without 7", "without 6, 7", "without 3, 4"
DEPTHS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    WHOLE: ((1, 1, 3), (HIDDEN, HIDDEN)),
    TOP: ((1, 1, 3), (HIDDEN,)),
    CLASSIFIER: ((1, 1, 3), ()),
    UPPER: ((1, 1, 1), (HIDDEN, HIDDEN)),
    FOUR: ((1, 1, 1), ()),
}
"""Convolutions of each block and units of each fully connected layer. 1 to 5 are convolutions, 6
and 7 fully connected; 8 is the class layer with the embedding, both linear and so one layer."""
COURSE = {TOP: (16.0, 1.1), CLASSIFIER: (50.0, 5.7), UPPER: (1.0, 3.0), FOUR: (None, 33.5)}
"""Millions of parameters that go, and percentage points of top-5 error on ImageNet that come."""
LARGER_PART = 5.7
"""Points that 6 and 7 alone cost in the course."""
WIDTHS = {"filters × ¼": 0.25, "filters × ½": 0.5, "filters × 1": 1.0, "filters × 2": 2.0}
SAME = "filters × 1"
"""The whole network again, not learned twice."""
OTHERS = (TOP, CLASSIFIER, UPPER, "filters × ¼", "filters × 2")
"""Compared with the whole network for their numbers alone."""
DIGIT_EPOCHS = 3
"""Digits are four times as many pictures, and get one epoch for so many of faces."""
ADDED, DROPPED = "error added in the course (points)", "parameters dropped in the course (millions)"
DIGITS, FACES = "Digits", "Faces"


def _run(trial: Trial) -> Result:
    networks = {name: network(*layers) for name, layers in DEPTHS.items()}
    networks |= {
        name: network(*DEPTHS[WHOLE], factor) for name, factor in WIDTHS.items() if name != SAME
    }
    digits, faces = _digit_fits(trial, networks), _face_fits(trial, networks)
    tables = {DIGITS: _table(DIGITS, digits), FACES: _table(FACES, faces)}
    comparisons = [
        *(fits.errors_compared(digits, name, FOUR) for name in (WHOLE, CLASSIFIER, UPPER)),
        *(fits.eers_compared(faces, name, FOUR) for name in (WHOLE, CLASSIFIER, UPPER)),
        *(fits.errors_compared(digits, WHOLE, name) for name in OTHERS),
        *(fits.eers_compared(faces, WHOLE, name) for name in OTHERS),
    ]
    curves = [
        _by_width(tables[DIGITS], ERROR, DIGITS),
        _by_width(tables[FACES], EER, FACES),
    ]
    return Result(
        (*tables.values(), _course(trial.seed)),
        tuple(comparisons),
        tuple(curves),
        judge(tables[DIGITS], tables[FACES], comparisons),
        _draw(tables, curves),
    )


def network(convolutions: tuple[int, ...], hidden: tuple[int, ...], factor: float = 1.0) -> Cnn:
    return Cnn(
        kind="cnn",
        channels=tuple(round(factor * count) for count in CHANNELS),
        convolutions=convolutions,
        hidden=hidden,
        activation="relu",
    )


def judge(digits: Table, faces: Table, comparisons: Sequence[Comparison]) -> Finding:
    """The verdict is that of the comparisons which end at four layers."""
    to_four = [each for each in comparisons if each.second == FOUR]
    intervals = ", ".join(
        f"{each.low:.1f} to {each.high:.1f} ({each.figure})"
        for each in to_four
        if each.first == WHOLE
    )
    parts = [
        _told(digits, ERROR, "of unseen digits are taken for another"),
        _told(faces, EER, "is the EER over unseen people"),
    ]
    count = {name: figures[PARAMETERS] for name, figures in digits.means.items()}
    widths = ", ".join(
        f"{digits.means[_row_of(name)][ERROR]:.2f} % and {faces.means[_row_of(name)][EER]:.2f} % "
        f"with {name.removeprefix('filters ')}"
        for name in WIDTHS
    )
    return Finding(
        verdict=every(map(_far_more, to_four)),
        sentence=(
            f"{' '.join(parts)} In the course the error rises by 5.7, 3.0 and 33.5 points; "
            f"without all four the intervals here are {intervals}. On digits the eight have "
            f"{count[WHOLE]:,.0f} parameters; {count[CLASSIFIER]:,.0f} are left without 6 and 7, "
            f"{count[UPPER]:,.0f} without 3 and 4. By the number of filters, errors on digits and "
            f"faces are {widths}."
        ),
    )


def _far_more(comparison: Comparison) -> Verdict:
    """Against all eight layers no more than the course's larger part costs is not what it says."""
    if comparison.first == WHOLE and comparison.high < LARGER_PART:
        return Verdict.NOT_REPRODUCED
    return is_larger(comparison)


def _told(table: Table, name: str, what: str) -> str:
    whole, classifier, upper, four = (
        table.means[setting][name] for setting in (WHOLE, CLASSIFIER, UPPER, FOUR)
    )
    return (
        f"With all eight layers {whole:.2f} % {what}; {classifier:.2f} % without the fully "
        f"connected 6 and 7, {upper:.2f} % without the convolutions 3 and 4, {four:.2f} % without "
        "all four."
    )


def _digit_fits(trial: Trial, networks: Mapping[str, Cnn]) -> dict[str, list[DigitFit]]:
    data = trial.digits(recipes.DIGIT_SIDE)
    epochs = max(1, trial.epochs // DIGIT_EPOCHS)
    return {
        name: fits.on_digits(
            [recipes.digits(seed, epochs, network=each) for seed in trial.seeds], data
        )
        for name, each in networks.items()
    }


def _face_fits(trial: Trial, networks: Mapping[str, Cnn]) -> dict[str, list[FaceFit]]:
    data = trial.faces(recipes.FACE_SIDE)
    return {
        name: fits.on_faces(
            [recipes.faces(seed, trial.epochs, network=each) for seed in trial.seeds], data
        )
        for name, each in networks.items()
    }


def _table(
    title: str, found: Mapping[str, Sequence[DigitFit]] | Mapping[str, Sequence[FaceFit]]
) -> Table:
    def count(lesson: Lesson) -> dict[str, float]:
        return {PARAMETERS: fits.parameters(lesson)}

    return Table.of(title, fits.rows(found, count))


def _course(seed: int) -> Table:
    rows = []
    for name, (millions, points) in COURSE.items():
        dropped = {} if millions is None else {DROPPED: millions}
        rows.append(Row(setting=name, seed=seed, figures={**dropped, ADDED: points}))
    return Table.of("The course, on ImageNet", rows)


def _row_of(width: str) -> str:
    return WHOLE if width == SAME else width


def _by_width(table: Table, name: str, setting: str) -> Curve:
    errors = [table.means[_row_of(width)][name] for width in WIDTHS]
    return Curve.of("width", setting, tuple(WIDTHS.values()), errors)


def _draw(tables: Mapping[str, Table], curves: Sequence[Curve]) -> Figure:
    drawn, panels = figure.grid(6.2, rows=2, columns=2)
    digits, faces, course, width = panels
    for axes, table, name in ((digits, tables[DIGITS], ERROR), (faces, tables[FACES], EER)):
        labels = [_label(setting, table) for setting in DEPTHS]
        figure.bars(axes, labels, [table.seeds_of(setting, name) for setting in DEPTHS], name)
        axes.set_title(f"{table.title}: layers removed", fontsize=11)
    figure.bars(
        course,
        [WHOLE, *COURSE],
        [[0.0], *([points] for _, points in COURSE.values())],
        "error added (percentage points)",
    )
    course.set_title("The course: ImageNet, top 5", fontsize=11)
    figure.lines(width, curves)
    width.set_xscale("log", base=2)
    width.set_xticks(list(WIDTHS.values()), ["¼", "½", "1", "2"])
    width.set(xlabel="filters, in units of the whole network's", ylabel="error (%)", ylim=(0, None))
    width.set_title("All eight layers: width", fontsize=11)
    width.legend(frameon=False, fontsize=9, labels=["digits", "faces (EER)"])
    return drawn


def _label(setting: str, table: Table) -> str:
    return f"{setting}\n{table.means[setting][PARAMETERS] / 1000:,.0f}k param."


EXPERIMENT = Experiment(
    claim=(
        "A network for ImageNet of five convolutions and three fully connected layers errs little "
        "more without its fully connected layers 6 and 7 (5.7 points, though 50 million parameters "
        "go) or without its convolutions 3 and 4 (3.0 points for a million), but far more without "
        "all four (33.5 points): what counts is depth."
    ),
    rule=(
        "Reproduced if the four layers that are left err more than all eight, than those without 6 "
        "and 7, and than those without 3 and 4, on digits (5 epochs where faces have 15) and on "
        "faces, each interval above 0; not reproduced if one lies below it, or if against all "
        "eight the whole interval is below the 5.7 points that 6 and 7 alone cost in the course."
    ),
    data="digits and faces",
    quick=Scale(seeds=3, epochs=15),
    full=Scale(seeds=10, epochs=60),
    run=_run,
)
