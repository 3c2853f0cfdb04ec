"""Which loss tells unseen people apart best?"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mien_training.config.losses import (
    ArcfaceHead,
    BatchAll,
    BatchHard,
    Center,
    Contrastive,
    CosfaceHead,
    LinearHead,
    Losses,
    SemiHard,
    Softmax,
    Triplet,
)
from mien_training.lab import figure, recipes
from mien_training.lab.comparison import PER_CENT, Between, of_eers
from mien_training.lab.experiment import Experiment, Result, Scale, Trial
from mien_training.lab.learning import learn
from mien_training.lab.record import Comparison, Finding, Row, Table, Verdict
from mien_training.lab.verdict import every, is_smaller
from mien_training.lab.verification import Verified

SOFTMAX = "softmax"
LINEAR = Softmax(head=LinearHead(kind="linear"))
SETTINGS = {
    SOFTMAX: Losses(softmax=LINEAR),
    "softmax + center": Losses(softmax=LINEAR, center=Center(weight=0.03)),
    "contrastive (Siamese)": Losses(contrastive=Contrastive()),
    "triplet, batch-all": Losses(triplet=Triplet(selection=BatchAll(kind="batch_all"))),
    "triplet, batch-hard": Losses(triplet=Triplet(selection=BatchHard(kind="batch_hard"))),
    "triplet, semi-hard": Losses(triplet=Triplet(selection=SemiHard(kind="semi_hard"))),
    "ArcFace": Losses(softmax=Softmax(head=ArcfaceHead(kind="arcface"))),
    "CosFace": Losses(softmax=Softmax(head=CosfaceHead(kind="cosface"))),
}
"""λ of the center loss as in the recipe orl-center; all else by the recipe's defaults."""
EER = "EER (%)"
WITHIN, BETWEEN = "distance within people", "distance between people"


def _run(trial: Trial) -> Result:
    train, test = trial.faces(recipes.FACE_SIDE)
    fits: dict[str, list[Verified]] = {}
    rows: list[Row] = []
    for setting, losses in SETTINGS.items():
        for seed in trial.seeds:
            lesson = learn(recipes.faces(seed, trial.epochs, losses=losses), train)
            verified = Verified.by(lesson.network, test)
            fits.setdefault(setting, []).append(verified)
            rows.append(Row(setting=setting, seed=seed, figures=_figures(verified)))
    table = Table.of("People who were not learned from", rows)
    comparisons = tuple(
        of_eers(Between(EER, SOFTMAX, setting), fits[SOFTMAX], fits[setting])
        for setting in SETTINGS
        if setting != SOFTMAX
    )
    return Result((table,), comparisons, (), judge(table, comparisons), _draw(table, comparisons))


def judge(table: Table, comparisons: Sequence[Comparison]) -> Finding:
    """Each comparison is of softmax and another loss."""
    verdicts = {each.second: is_smaller(each) for each in comparisons}
    rates = {setting: table.means[setting][EER] for setting in table.means}
    better = [name for name, verdict in verdicts.items() if verdict is Verdict.REPRODUCED]
    worse = [name for name, verdict in verdicts.items() if verdict is Verdict.NOT_REPRODUCED]
    order = sorted(rates, key=lambda setting: rates[setting])
    told = "; ".join(f"{setting} {rates[setting]:.1f}" for setting in order)
    return Finding(
        verdict=every(verdicts.values()),
        sentence=(
            f"Equal error rate on unseen people in per cent: {told}. "
            f"{_told('better', better)} {_told('worse', worse)}"
        ),
    )


def _told(how: str, names: Sequence[str]) -> str:
    """Settings that differ from softmax by more than chance."""
    if not names:
        return f"None is {how} than {SOFTMAX} by more than chance."
    return f"By more than chance {how} than {SOFTMAX}: {', '.join(names)}."


def _figures(verified: Verified) -> dict[str, float]:
    distances = np.sqrt(np.clip(2 - 2 * verified.similarities.astype(np.float64), 0, None))
    same = verified.pairs.same
    return {
        EER: PER_CENT * verified.eer,
        WITHIN: float(distances[same].mean()),
        BETWEEN: float(distances[~same].mean()),
    }


def _draw(table: Table, comparisons: Sequence[Comparison]) -> Figure:
    drawn, (left, right) = figure.grid(3.8, columns=2)
    names = list(table.means)
    figure.bars(left, names, [table.seeds_of(name, EER) for name in names], "equal error rate (%)")
    left.set_title("unseen people; a dot for each seed", fontsize=11)
    right.axvline(0, color="#999999", linewidth=1)
    for number, each in enumerate(comparisons, start=1):
        colour = figure.COLOURS[number % len(figure.COLOURS)]
        right.plot([each.low, each.high], [number] * 2, color=colour, linewidth=3, alpha=0.6)
        right.plot([each.difference], [number], "o", color=colour, markersize=7)
    right.set_ylim(left.get_ylim())
    right.set(xlabel="difference from softmax (percentage points)", ylabel="losses as on the left")
    right.set_yticks([])
    right.set_title("95 % intervals; left of 0 is better", fontsize=11)
    return drawn


EXPERIMENT = Experiment(
    claim=(
        "Losses that say how near pictures of one person shall be and how far those of two "
        "(center, contrastive and triplet loss, and the margins of ArcFace and CosFace) give "
        "embeddings that tell unseen people apart better than a softmax over those of training."
    ),
    rule=(
        "Reproduced if the interval of every one of them, against softmax alone, lies below 0; not "
        "reproduced if one lies above; otherwise inconclusive."
    ),
    data="faces",
    quick=Scale(seeds=3, epochs=30),
    full=Scale(seeds=5, epochs=120),
    run=_run,
)
