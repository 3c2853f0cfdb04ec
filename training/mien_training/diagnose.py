"""Why a run comes to nothing: looks at every step, and stops the run with the cause.

A sign must last `LASTING` steps in a row, since any of them may show for a step in a healthy run;
only what is not finite stops at once. Rows of steps are counted anew after --resume.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mien.errors import LearningStopped
from mien_training.config.recipe import Recipe
from mien_training.losses import WeightedSum
from mien_training.losses.center import CenterLoss, move

LASTING = 20
"""Steps in a row, or batches where it looks at each. Well above the few that a healthy run shows a
sign for, and below 50."""
COLLAPSED = 0.01
"""Mean distance between unit embeddings of different people, a cosine of 0.99995. The shipped
recipes start at 1.2 to 1.4 and random directions lie 1.41 apart."""
LONGEST_GRADIENT = 1e4
"""Norm over all weights. The shipped recipes stay below 30."""
LONGEST_COMPONENT = 1e4
"""Root mean square of an embedding's components. The largest published ones are about 200 (Wen et
al. 2016, figure 2); at 1e4 the squares of a 128-dimensional embedding use up float32."""
VISITS = 30
"""Batches with a person before the person's centre is judged: at the paper's rate it has then long
arrived, and at a rate of 0.01, the least in the paper, it is a fifth to a third of the way."""
FAR_BEHIND = 0.9
"""Lag from which a centre counts as left behind; 1 is a centre that never moved from 0."""
ASTRAY = 1.5
"""Lag from which a centre counts as drifting. At the fastest rate, 1, noise alone gives 0.9."""
WORTH_SELECTING = 0.1
"""Share of active triplets from which a selection must find some. A run that has nearly learned
everything has fewer."""
REFERENCE_RATE = 0.5
"""α of Wen et al. 2016."""


class Watch:
    """Sees each batch before it is learned, and each step before the optimiser takes it.

    Of several batches that make a step (`accumulate`) it judges the mean, but for what is not
    finite and for the centres, which move with every batch.
    """

    def __init__(self, recipe: Recipe, losses: WeightedSum) -> None:
        self._recipe, self._losses = recipe, losses
        self._collapse, self._gradient, self._embedding = Streak(), Streak(), Streak()
        self._nothing_selected, self._nothing_active = Streak(), Streak()
        self._batches: list[tuple[Tensor, Tensor]] = []
        """Of the step that is going on, raw embeddings and labels."""
        center = dict(losses.terms.items()).get("center")
        self._centers = CenterWatch(center) if isinstance(center, CenterLoss) else None

    def batch(self, step: int, raw: Tensor, labels: Tensor, log: Mapping[str, float]) -> None:
        """Raw embeddings [B, D], labels int64 [B], and what is logged of them.

        Raises LearningStopped.
        """
        self._batches.append((raw.detach(), labels))
        if not math.isfinite(log["loss"]):
            _stop(step, self._what_is_not_finite(log.get("reconstruction", 0.0)))
        if self._centers:
            self._look_at_centers(step, self._centers, raw, labels)

    def step(self, step: int, log: Mapping[str, float]) -> None:
        """What is logged of a step: the mean over its batches, and the gradient before clipping.

        Raises LearningStopped.
        """
        if not math.isfinite(log["gradient_norm"]):
            _stop(step, self._what_is_not_finite())
        self._batches.clear()
        self._look_at_spread(step, log)
        self._look_at_triplets(step, log)
        self._look_at_gradient(step, log["gradient_norm"])

    def _look_at_gradient(self, step: int, norm: float) -> None:
        is_clipped = self._recipe.clip_gradient > 0
        if self._gradient.lasts(norm > LONGEST_GRADIENT and not is_clipped):
            _stop(
                step,
                f"the gradient explodes: its norm is {norm:.3g}, and has been above "
                f"{LONGEST_GRADIENT:g} for {LASTING} steps; set clip_gradient=1 or lower "
                f"{self._learning_rate()}",
            )

    def _what_is_not_finite(self, reconstruction: float = 0.0) -> str:
        advice = f"lower {self._learning_rate()} or set clip_gradient=1"
        if not all(raw.isfinite().all() for raw, _ in self._batches):
            return f"the network gives embeddings that are not finite; {advice}"
        if not math.isfinite(reconstruction):
            return (
                f"the reconstruction is {reconstruction}; {advice}, or take a smaller network.beta"
            )
        for raw, labels in self._batches:
            if cause := self._broken_term(raw, labels, advice):
                return cause
        return f"the gradient is not finite within the network; {advice}"

    def _broken_term(self, raw: Tensor, labels: Tensor, advice: str) -> str | None:
        """The term whose loss, or the gradient of it, is not finite, if any, taken by itself."""
        for name, term in self._losses.terms.items():
            again = raw.detach().requires_grad_()
            loss = term(again, labels).loss
            if not loss.isfinite():
                return f"losses.{name} is {loss.item()}; {advice}, or take a smaller losses.{name}"
            (slope,) = torch.autograd.grad(loss, again)
            if not slope.isfinite().all():
                return (
                    f"losses.{name} is {loss.item():.3g} but its gradient is not finite; {advice}"
                )
        return None

    def _look_at_spread(self, step: int, log: Mapping[str, float]) -> None:
        distance = log.get("between_distance", math.inf)
        if self._collapse.lasts(distance < COLLAPSED):
            _stop(step, self._collapsed(distance, log))
        component = log["embedding_norm"] / math.sqrt(self._recipe.dimension)
        if self._embedding.lasts(component > LONGEST_COMPONENT):
            _stop(
                step,
                f"the embeddings explode: their norm is {log['embedding_norm']:.3g}, and has been "
                f"above {LONGEST_COMPONENT:g}·√dimension for {LASTING} steps; lower "
                f"{self._learning_rate()} or raise optimiser.weight_decay",
            )

    def _collapsed(self, distance: float, log: Mapping[str, float]) -> str:
        told = (
            f"the embeddings have collapsed: those of different people are {distance:.2g} apart on "
            f"average, and have been below {COLLAPSED:g} for {LASTING} steps"
        )
        triplet = self._recipe.losses.triplet
        if not triplet:
            return f"{told}; lower {self._learning_rate()}"
        return (
            f"{told}, with losses.triplet at {log['triplet']:.3g} for a margin of "
            f'{triplet.margin:g}; select by losses.triplet.selection.kind="semi_hard" or lower '
            f"{self._learning_rate()}"
        )

    def _look_at_triplets(self, step: int, log: Mapping[str, float]) -> None:
        triplet = self._recipe.losses.triplet
        if not triplet:
            return
        active = log["active_triplets"]
        if self._nothing_selected.lasts(active > WORTH_SELECTING and log["triplet"] == 0):
            _stop(
                step,
                f"no triplets: {active:.1%} of them are active, but {triplet.selection.kind} has "
                f"selected none of these for {LASTING} steps; select by "
                'losses.triplet.selection.kind="batch_all"',
            )
        # Later in a run it is success: everybody is apart by the margin.
        if self._nothing_active.lasts(active == 0) and step <= LASTING:
            _stop(
                step,
                f"no active triplets: in none of the first {LASTING} steps was a person's picture "
                f"within the margin of somebody else's; raise losses.triplet.margin "
                f"({triplet.margin:g}) or strengthen the augmentation",
            )

    def _look_at_centers(
        self, step: int, centers: "CenterWatch", raw: Tensor, labels: Tensor
    ) -> None:
        rate = f"losses.center.rate ({centers.term.rate:g})"
        sign = centers.look(raw, labels)
        if sign == "left behind":
            _stop(
                step,
                f"the centres are left behind: after {VISITS} batches with a person they have "
                f"hardly moved from 0 towards the person's embeddings; raise {rate}",
            )
        if sign == "drifting":
            _stop(
                step,
                "the centres drift away from the embeddings of their people: they have been "
                f"farther off than {ASTRAY:g} of the embeddings' length for {LASTING} batches; "
                f"raise {rate} or lower {self._learning_rate()}",
            )

    def _learning_rate(self) -> str:
        return f"optimiser.learning_rate ({self._recipe.optimiser.learning_rate:g})"


class Streak:
    """Counts steps, or batches, in a row with a sign."""

    def __init__(self) -> None:
        self._length = 0

    def lasts(self, shows: bool) -> bool:
        """Take in one of them; returns whether the sign has shown for `LASTING` in a row."""
        self._length = self._length + 1 if shows else 0
        return self._length >= LASTING


class CenterWatch:
    """Compares the centres with reference centres, moved by the same rule at the paper's rate.

    A centre's lag is ‖centre - reference‖ / ‖reference‖: near 0 for any data where the centres
    follow, 1 for a centre that stays at 0. The reference starts at 0 too.
    """

    def __init__(self, term: CenterLoss) -> None:
        self.term = term
        self._reference = torch.zeros_like(term.centers)
        self._visits = torch.zeros_like(term.centers[:, 0], dtype=torch.int64)
        self._drifting = Streak()

    @torch.no_grad()
    def look(self, raw: Tensor, labels: Tensor) -> str | None:
        """Take in a batch, after the centres have; returns the sign that it shows, if any."""
        embeddings = torch.nn.functional.normalize(raw) if self.term.unit else raw
        move(self._reference, embeddings.detach(), labels, REFERENCE_RATE)
        counts = torch.bincount(labels, minlength=len(self._reference))
        self._visits += counts > 0
        (judged,) = torch.where((counts > 0) & (self._visits >= VISITS))
        return self._judge(self.term.centers[judged], self._reference[judged])

    def _judge(self, centers: Tensor, reference: Tensor) -> str | None:
        """Both [people, D]."""
        lag = ((centers - reference).norm(dim=1) / reference.norm(dim=1)).median()
        is_short = bool(centers.norm(dim=1).median() < reference.norm(dim=1).median() / 2)
        if self._drifting.lasts(bool(lag > ASTRAY)):
            return "drifting"
        return "left behind" if bool(lag > FAR_BEHIND) and is_short else None


def _stop(step: int, cause: str) -> None:
    raise LearningStopped(f"stopped at step {step}: {cause}")
