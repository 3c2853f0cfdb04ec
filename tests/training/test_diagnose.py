"""A run that would come to nothing stops within 50 steps and says why; a healthy one does not."""

import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from mien.errors import LearningStopped
from mien_training import networks
from mien_training.cli import main
from mien_training.config.recipe import Recipe
from mien_training.diagnose import LASTING, VISITS, Watch
from mien_training.fit import fit
from mien_training.learner import mean
from mien_training.loading import load_recipe, shipped
from mien_training.losses import WeightedSum
from mien_training.losses.center import CenterLoss, move
from mien_training.losses.term import Term
from mien_training.losses.triplet import TripletLoss
from mien_training.networks.autoencoder import AutoencoderNetwork
from mien_training.networks.embedding import EmbeddingNetwork
from tests.faces import folder_of_people
from tests.training.recipes import small

LATEST = 50
"""Steps in which a planted failure must be found."""
STILL = ("augmentation={}", "network.dropout=0.0")
"""The same picture is then always seen the same."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_people(tmp_path_factory.mktemp("people"), people=6, shots=4)


def planted(folder: Path, tmp_path: Path, *overrides: str) -> str:
    """Why a run with these overrides stops, before `LATEST`."""
    step, cause = stopped(folder, tmp_path, *overrides)
    assert step <= LATEST
    return cause


def stopped(folder: Path, tmp_path: Path, *overrides: str) -> tuple[int, str]:
    """When and why a run stops. All three people of training are in every batch."""
    people = ("validation_people=0.5", "batches.people=3")
    recipe = small(tmp_path, "epochs=60", "validate_every=60", *people, *overrides)
    with pytest.raises(LearningStopped) as raised:
        fit(folder, recipe, tmp_path / "run")
    told = re.fullmatch(r"stopped at step (\d+): (.*)", str(raised.value))
    assert told
    return int(told[1]), told[2]


def plant_network(monkeypatch: pytest.MonkeyPatch, weight: float, bias: float) -> None:
    """A linear network without normalisation, of weights and biases this large."""

    def build(recipe: Recipe) -> EmbeddingNetwork:
        linear = nn.Linear(3 * recipe.crop.height * recipe.crop.width, recipe.dimension)
        nn.init.normal_(linear.weight, std=weight)
        nn.init.constant_(linear.bias, bias)
        return EmbeddingNetwork(nn.Sequential(nn.Flatten(), linear), recipe.flip_embedding)

    monkeypatch.setattr(networks, "build", build)


def test_a_collapse_is_named_with_the_loss_at_its_margin(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_network(monkeypatch, weight=1e-6, bias=1)
    triplet = "losses={triplet={margin=0.2, selection={kind='batch_all'}}}"
    cause = planted(folder, tmp_path, triplet, "optimiser.learning_rate=1e-6")
    assert cause.startswith("the embeddings have collapsed: those of different people are ")
    assert "with losses.triplet at 0.2 for a margin of 0.2; select by losses.triplet.sel" in cause


def test_a_collapse_without_triplets_is_named_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_network(monkeypatch, weight=1e-6, bias=1)
    cause = planted(folder, tmp_path, "losses={softmax={}}", "optimiser.learning_rate=1e-9")
    assert "collapsed" in cause
    assert cause.endswith("; lower optimiser.learning_rate (1e-09)")


def without_normalisation(tmp_path: Path, distance: str, seed: int, rate: float) -> Recipe:
    """Batch-hard triplets on a network that has nothing to keep its embeddings apart."""
    return small(
        tmp_path,
        *("epochs=25", "validate_every=25", f"seed={seed}", "validation_people=0.2"),
        "batches={people=8, pictures=4}",
        "network={kind='cnn', channels=[8, 8], hidden=[32, 32], activation='tanh', "
        "batch_normalisation=false}",
        f"losses={{triplet={{distance='{distance}', selection={{kind='batch_hard'}}}}}}",
        f"optimiser={{kind='adam', learning_rate={rate}}}",
        "schedule={kind='constant'}",
    )


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_people(tmp_path_factory.mktemp("crowd"), people=20, shots=4)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("distance", ["squared", "plain"])
def test_a_network_that_collapses_while_it_learns_is_stopped(
    crowd: Path, tmp_path: Path, distance: str, seed: int
) -> None:
    """It starts apart, and a learning rate that is a hundred times too high takes it together."""
    recipe = without_normalisation(tmp_path, distance, seed, rate=0.1)
    with pytest.raises(LearningStopped) as raised:
        fit(crowd, recipe, tmp_path / "run")
    told = re.match(r"stopped at step (\d+): the embeddings have collapsed: ", str(raised.value))
    assert told
    assert LASTING < int(told[1]) <= LATEST
    (at,) = re.findall(r"losses\.triplet at (\S+) for a margin of 0\.2; ", str(raised.value))
    assert float(at) == pytest.approx(0.2, rel=0.02)
    assert str(raised.value).endswith("or lower optimiser.learning_rate (0.1)")
    first = (tmp_path / "run" / "log.csv").read_text().splitlines()
    row = dict(zip(first[0].split(","), first[1].split(","), strict=True))
    assert float(row["between_distance"]) > 0.3


@pytest.mark.parametrize("distance", ["squared", "plain"])
def test_the_same_network_at_the_papers_rate_is_not_stopped(
    crowd: Path, tmp_path: Path, distance: str
) -> None:
    fit(crowd, without_normalisation(tmp_path, distance, 1, rate=0.001), tmp_path / "run")


def folder_of_copies(folder: Path) -> Path:
    """Each person's pictures are one and the same."""
    folder_of_people(folder, people=6, shots=1)
    for person in folder.iterdir():
        for copy in range(1, 4):
            shutil.copy(person / "0.png", person / f"{copy}.png")
    return folder


TINY_MARGIN = "losses={triplet={margin=1e-6, selection={kind='batch_all'}}}"


def test_no_active_triplets_from_the_start_are_named(tmp_path: Path) -> None:
    cause = planted(folder_of_copies(tmp_path / "people"), tmp_path, TINY_MARGIN, *STILL)
    assert cause.startswith("no active triplets: in none of the first 20 steps")
    assert "raise losses.triplet.margin (1e-06)" in cause


STEEP = ("losses={softmax={weight=1e6}}", "optimiser.learning_rate=1e-12")
LASTS_FROM_THE_START = {
    "no active triplets": ((TINY_MARGIN,), "in none of the first 20 steps"),
    "gradient": (STEEP, "has been above 10000 for 20 steps"),
}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(
    ("overrides", "said"), LASTS_FROM_THE_START.values(), ids=LASTS_FROM_THE_START
)
def test_steps_are_counted_and_not_the_batches_that_make_one(
    overrides: tuple[str, ...], said: str, accumulate: int, tmp_path: Path
) -> None:
    """Each epoch has two batches."""
    folder = folder_of_copies(tmp_path / "people")
    step, cause = stopped(folder, tmp_path, *overrides, *STILL, f"accumulate={accumulate}")
    assert step == LASTING
    assert said in cause


def watch_of(tmp_path: Path, *overrides: str) -> Watch:
    recipe = small(tmp_path, *overrides)
    return Watch(recipe, WeightedSum(recipe.losses, 3, recipe.dimension))


def test_a_step_is_without_active_triplets_only_if_all_its_batches_are(tmp_path: Path) -> None:
    watch = watch_of(tmp_path, TINY_MARGIN)
    quiet = {"embedding_norm": 1.0, "triplet": 0.0, "active_triplets": 0.0, "gradient_norm": 1.0}
    for step in range(1, LATEST):
        batches = [quiet, {**quiet, "triplet": 0.1, "active_triplets": 0.01}]
        watch.step(step, mean(batches))
    watch = watch_of(tmp_path, TINY_MARGIN)
    for step in range(1, LASTING):
        watch.step(step, mean([quiet, quiet]))
    with pytest.raises(LearningStopped, match=r"^stopped at step 20: no active triplets: in none"):
        watch.step(LASTING, mean([quiet, quiet]))


def test_a_gradient_that_a_first_batch_spoils_is_named_by_its_term(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With accumulation the last batch of the step is not the one to look at."""
    watch = watch_of(tmp_path, "losses={triplet={selection={kind='batch_all'}}}")
    monkeypatch.setattr(TripletLoss, "forward", steep_at_zero)
    log = {"loss": 1.0, "embedding_norm": 1.0, "triplet": 1.0, "active_triplets": 1.0}
    labels = torch.tensor([0, 0, 1, 1])
    for raw in (torch.zeros(4, 8), torch.ones(4, 8)):
        watch.batch(1, raw, labels, log)
    with pytest.raises(
        LearningStopped, match=r"losses\.triplet is 0 but its gradient is not finit"
    ):
        watch.step(1, {**log, "gradient_norm": math.nan})


def steep_at_zero(_self: nn.Module, raw: Tensor, _labels: Tensor) -> Term:
    return Term(raw.square().sum().sqrt(), {})


def test_a_selection_that_finds_none_of_the_active_triplets_is_named(tmp_path: Path) -> None:
    people = folder_of_people(tmp_path / "people", people=6, shots=6)
    for number in range(6):
        for shot in range(6):
            (people / f"person-{number}" / f"{shot}.png").rename(
                people / f"person-{shot}" / f"of-{number}.png"
            )
    triplet = "losses={triplet={margin=1e-9, selection={kind='semi_hard'}}}"
    cause = planted(people, tmp_path, triplet, *STILL)
    assert cause.startswith("no triplets: ")
    assert "semi_hard has selected none of these for 20 steps; select by losses.triplet" in cause


def broken(monkeypatch: pytest.MonkeyPatch, term: type[nn.Module], loss: str) -> None:
    """From its sixth call on, let a term give a loss or a gradient that is not finite."""
    whole, calls = term.forward, [0]

    def forward(self: nn.Module, raw: Tensor, labels: Tensor) -> Term:
        calls[0] += 1
        given: Term = whole(self, raw, labels)
        if calls[0] <= 5:
            return given
        added = raw.sum() * torch.nan if loss == "nan" else (0 * raw.sum()).sqrt()
        total = given.loss + added
        return Term(total, {**given.log})

    monkeypatch.setattr(term, "forward", forward)


@pytest.mark.parametrize(
    ("term", "loss", "cause"),
    [
        (CenterLoss, "nan", "losses.center is nan; lower optimiser.learning_rate (0.01)"),
        (TripletLoss, "nan", "losses.triplet is nan; lower optimiser.learning_rate (0.01)"),
        (TripletLoss, "slope", "but its gradient is not finite; lower optimiser.learning_rate (0"),
    ],
)
def test_the_term_that_is_not_finite_is_named(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    term: type[nn.Module],
    loss: str,
    cause: str,
) -> None:
    broken(monkeypatch, term, loss)
    told = planted(folder, tmp_path)
    assert cause in told
    assert told.startswith("losses.center" if term is CenterLoss else "losses.triplet")


def test_a_reconstruction_that_is_not_finite_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(_self: AutoencoderNetwork, images: Tensor, _codes: Tensor) -> Tensor:
        return images.sum() * torch.inf

    monkeypatch.setattr(AutoencoderNetwork, "reconstruction_error", error)
    network = "network={kind='autoencoder', channels=[4]}"
    cause = planted(folder, tmp_path, network, "losses={softmax={}}")
    assert cause.startswith("the reconstruction is ")
    assert cause.endswith("or take a smaller network.beta")


def test_embeddings_that_are_not_finite_are_the_networks(folder: Path, tmp_path: Path) -> None:
    cause = planted(
        folder, tmp_path, "losses={softmax={head={kind='linear'}}}", "optimiser.learning_rate=1e30"
    )
    assert "not finite" in cause
    assert "lower optimiser.learning_rate (1e+30)" in cause


def test_an_exploding_gradient_is_named(folder: Path, tmp_path: Path) -> None:
    cause = planted(folder, tmp_path, *STEEP)
    assert cause.startswith("the gradient explodes: its norm is ")
    assert "set clip_gradient=1" in cause


def test_a_clipped_gradient_may_be_long(folder: Path, tmp_path: Path) -> None:
    steep = (*STEEP, "clip_gradient=1")
    fit(folder, small(tmp_path, "epochs=30", "batches.people=3", *steep), tmp_path / "run")


def test_exploding_embeddings_are_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_network(monkeypatch, weight=1e6, bias=0)
    cause = planted(folder, tmp_path, "losses={softmax={}}")
    assert cause.startswith("the embeddings explode: their norm is ")


@pytest.mark.parametrize("space", ["raw", "unit"])
def test_centres_left_behind_are_named(folder: Path, tmp_path: Path, space: str) -> None:
    cause = planted(
        folder, tmp_path, f"losses={{softmax={{}}, center={{rate=0.001, space='{space}'}}}}"
    )
    assert cause.startswith("the centres are left behind: ")
    assert cause.endswith("raise losses.center.rate (0.001)")


def test_drifting_centres_are_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(centers: Tensor, embeddings: Tensor, labels: Tensor, rate: float) -> None:
        move(centers, embeddings, labels, rate)
        centers[:, 0] += 3

    monkeypatch.setattr("mien_training.losses.center.move", away)  # not the watch's own
    cause = planted(folder, tmp_path, "optimiser.learning_rate=1e-5")
    assert cause.startswith("the centres drift away from the embeddings of their people")


def test_the_command_says_it_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    small(tmp_path)
    done = CliRunner().invoke(
        main,
        [
            *("fit", str(folder), "--recipe", str(tmp_path / "small.toml")),
            *("--out", str(tmp_path / "run"), "--set", "optimiser.learning_rate=1e30"),
        ],
        prog_name="mien-train",
    )
    assert done.exit_code == 2
    assert re.fullmatch(
        r"mien-train: stopped at step \d+: .* optimiser\.learning_rate \(1e\+30\).*",
        done.stderr.splitlines()[-1],
    )


def learns(folder: Path, recipe: Recipe, out: Path) -> Sequence[float]:
    """The logged losses of a run that is not stopped."""
    fit(folder, recipe, out)
    lines = (out / "log.csv").read_text().splitlines()
    column = lines[0].split(",").index("loss")
    return [float(line.split(",")[column]) for line in lines[1:]]


@pytest.mark.timeout(900)  # the largest of them takes six minutes on a slow core
@pytest.mark.parametrize("name", sorted({*shipped()} - {"mien-s-again"}))  # mien-s, once more
def test_a_shipped_recipe_is_not_stopped(name: str, tmp_path: Path) -> None:
    folder = folder_of_people(tmp_path / "people", people=20, shots=5)
    steps = ("epochs=10", "threads=1", "validate_every=10", "checkpoint_every=10")
    few = "batches.people=8"  # of the sixteen to learn from
    losses = learns(folder, load_recipe(name, (*steps, few)), tmp_path / "run")
    assert losses[-1] < losses[0]


HEALTHY = {
    "semi-hard": "losses={triplet={selection={kind='semi_hard'}}}",
    "batch-hard": "losses={triplet={selection={kind='batch_hard'}}}",
    "batch-all, plain": "losses={triplet={distance='plain'}}",
    "slow centres": "losses={softmax={}, center={rate=0.01}}",
    "fast centres": "losses={softmax={}, center={rate=1.0}}",
    "unit centres": "losses={softmax={}, center={space='unit'}}",
}


@pytest.mark.parametrize("losses", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_run_is_not_stopped(losses: str, folder: Path, tmp_path: Path) -> None:
    recipe = small(tmp_path, "epochs=30", "validate_every=30", "batches.people=3", losses)
    learns(folder, recipe, tmp_path / "run")


def test_the_signs_leave_time_to_be_found_in() -> None:
    assert max(LASTING, VISITS) < LATEST
    assert VISITS + LASTING <= LATEST
