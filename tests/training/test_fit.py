"""Training from a folder to a run, and reading the run back."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mien.errors import DatasetInvalid, OutputExists, RecipeInvalid, RunInvalid, StorageFull
from mien_training import checkpoint
from mien_training.config.optimisation import EarlyStopping
from mien_training.config.recipe import Batches, Recipe
from mien_training.data import load
from mien_training.embed import embed
from mien_training.fit import fit
from mien_training.learner import Learner
from mien_training.log import Log
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.process_group import ALONE
from mien_training.run import load_run
from tests.faces import folder_of_people
from tests.training.recipes import small


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_people(tmp_path_factory.mktemp("people"), people=5, shots=4)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return small(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def out(folder: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(folder, recipe, tmp_path_factory.mktemp("runs") / "a" / "run")


def test_two_runs_of_one_seed_have_identical_weights(
    folder: Path, recipe: Recipe, out: Path, tmp_path: Path
) -> None:
    random_state = torch.get_rng_state()
    again = checkpoint.load(fit(folder, recipe, tmp_path / "again"))
    first = checkpoint.load(out)
    for part in ("network", "average", "losses"):
        for name, value in getattr(first, part).items():
            assert torch.equal(value, getattr(again, part)[name]), (part, name)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_threads_of_the_recipe_are_used_and_given_back(
    folder: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    before = torch.get_num_threads()
    fit(folder, recipe.model_copy(update={"threads": 3}), tmp_path / "run")
    assert asked == [3, before]


def test_another_seed_has_other_weights(
    folder: Path, recipe: Recipe, out: Path, tmp_path: Path
) -> None:
    other = fit(folder, recipe.model_copy(update={"seed": 2}), tmp_path / "other")
    first, second = (checkpoint.load(run).network["backbone.head.2.weight"] for run in (out, other))
    assert not torch.equal(first, second)


def test_the_run_holds_recipe_log_and_checkpoint(out: Path, recipe: Recipe) -> None:
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint.pt",
        "log.csv",
        "recipe.json",
        "tensorboard",
    ]
    assert Recipe.model_validate_json((out / "recipe.json").read_text()) == recipe
    assert json.loads((out / "recipe.json").read_text())["optimiser"]["momentum"] == 0.9


def test_the_log_has_a_row_an_epoch(out: Path) -> None:
    with (out / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        parts = float(row["softmax"]) + 0.003 * float(row["center"]) + float(row["triplet"])
        assert float(row["loss"]) == pytest.approx(parts, rel=1e-5)
        assert 0 <= float(row["active_triplets"]) <= 1
        assert 0 <= float(row["validation_eer"]) <= 1
        assert float(row["learning_rate"]) <= 0.01
        assert 0 <= float(row["validation_fnmr"]) <= 1
        assert float(row["gradient_norm"]) > 0
        assert float(row["embedding_norm"]) > 0
        assert 0 < float(row["within_distance"]) < 2
        assert 0 < float(row["between_distance"]) < 2


def test_tensorboard_shows_the_columns_of_the_log(out: Path) -> None:
    shown = EventAccumulator(str(out / "tensorboard"))
    shown.Reload()
    with (out / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(shown.Tags()["scalars"]) == set(rows[0]) - {"epoch", "seconds"}
    for row, event in zip(rows, shown.Scalars("softmax"), strict=True):
        assert (event.step, event.value) == (
            int(row["epoch"]),
            pytest.approx(float(row["softmax"])),
        )


def test_the_checkpoint_has_all_that_a_run_needs_to_go_on(
    out: Path, folder: Path, recipe: Recipe
) -> None:
    saved = checkpoint.load(out)
    assert Recipe.model_validate_json(saved.recipe) == recipe
    assert saved.version
    assert saved.data_digest == load(folder, recipe.crop).digest
    assert saved.epoch == 2
    assert len(saved.validation_people) == 2
    assert sorted(saved.train_people + saved.validation_people) == [
        f"person-{number}" for number in range(5)
    ]
    assert saved.losses["terms.center.centers"].shape == (3, 8)
    assert saved.optimiser["state"]
    assert not torch.equal(
        saved.network["backbone.head.2.weight"], saved.average["backbone.head.2.weight"]
    )


def test_a_run_is_loaded_ready_to_embed(out: Path, folder: Path, recipe: Recipe) -> None:
    run = load_run(out)
    saved = checkpoint.load(out)
    assert run.recipe == recipe
    assert run.data == folder.resolve()
    assert (list(run.train_people), list(run.validation_people)) == (
        saved.train_people,
        saved.validation_people,
    )
    assert not run.network.training
    assert torch.equal(
        run.network.state_dict()["backbone.head.2.weight"], saved.average["backbone.head.2.weight"]
    )
    vectors = embed(run.network, load(folder, recipe.crop).crops.images)
    assert vectors.shape == (20, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_without_validation_everybody_is_trained_on(
    folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    everybody = recipe.model_copy(update={"validation_people": 0.0, "epochs": 1})
    run = load_run(fit(folder, everybody, tmp_path / "run"))
    assert len(run.train_people) == 5
    assert run.validation_people == ()
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["validation_eer"] == ""


def test_elsewhere_than_on_a_terminal_progress_is_lines(
    folder: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(folder, recipe, tmp_path / "run")
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"audit of {folder}: 20 pictures of 5 people"
    first, second = [line for line in told if line.startswith("epoch")]
    assert first.startswith("epoch 1/2: loss ")
    assert "images/s, 0 s left" in second


def test_training_separates_people_that_it_has_not_seen(tmp_path: Path) -> None:
    recipe = small(
        tmp_path,
        "epochs=12",
        "validate_every=12",
        "dimension=32",
        "batches={people=6, pictures=3}",
        "network={kind='cnn', channels=[8, 16]}",
        "losses={softmax={}}",
        "augmentation={}",
        "optimiser.learning_rate=0.05",
    )
    people = folder_of_people(tmp_path / "people", people=12, shots=6)
    fit(people, recipe, tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < 0.1 * float(rows[0]["loss"])
    assert float(rows[-1]["validation_eer"]) < 0.2


def test_the_mean_gradient_of_some_batches_makes_a_step(tmp_path: Path) -> None:
    recipe = small(
        tmp_path,
        *("accumulate=2", "network.dropout=0.0", "losses={softmax={}}", "ema_decay=0.0"),
        "optimiser={kind='sgd', momentum=0.0, nesterov=false, weight_decay=0.0}",
    )
    data = np.random.default_rng(3)
    batches = [
        (torch.from_numpy(data.integers(256, size=(4, 16, 16, 3), dtype=np.uint8)), labels)
        for labels in (torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 2, 2]))
    ]
    one, two = (
        Learner.fresh(recipe, torch.device("cpu"), ALONE, people=3, batches=3) for _ in range(2)
    )
    assert one.steps_per_epoch == 2
    assert [len(group) for group in one.groups([batches[0]] * 3)] == [2, 1]
    together = one.step(batches)
    start = [weight.clone() for weight in two.network.parameters()]
    parts = [two.step([batch])["loss"] for batch in batches[:1]]
    first = [
        weight - before for weight, before in zip(two.network.parameters(), start, strict=True)
    ]
    two = Learner.fresh(recipe, torch.device("cpu"), ALONE, people=3, batches=3)
    parts.append(two.step(batches[1:])["loss"])
    assert together["loss"] == pytest.approx(np.mean(parts))
    for weight, before, moved, other in zip(
        one.network.parameters(), start, first, two.network.parameters(), strict=True
    ):
        torch.testing.assert_close(weight - before, (moved + other - before) / 2)


def test_early_stopping_ends_the_run_and_uses_the_best_weights(
    folder: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([0.4, 0.2, 0.3, 0.25])
    averages: list[torch.Tensor] = []

    def measure(network: EmbeddingNetwork, *_: object) -> dict[str, float]:
        averages.append(next(iter(network.parameters())).detach().clone())
        return {"eer": next(measured), "fnmr": 0.0}

    monkeypatch.setattr("mien_training.fit._validate", measure)
    stopping = recipe.model_copy(
        update={"epochs": 9, "early_stopping": EarlyStopping(patience=2), "checkpoint_every": 9}
    )
    out = fit(folder, stopping, tmp_path / "run")
    saved = checkpoint.load(out)
    assert saved.epoch == len(averages) == 4
    assert torch.equal(next(iter(load_run(out).network.parameters())), averages[1])
    assert torch.equal(next(iter(saved.average.values())), averages[3])
    fit(folder, stopping, out, resume=True)
    assert checkpoint.load(out).epoch == 4


def test_half_precision_learns_too(folder: Path, recipe: Recipe, tmp_path: Path) -> None:
    half = recipe.model_copy(update={"precision": "bfloat16"})
    saved = checkpoint.load(fit(folder, half, tmp_path / "run"))
    assert {value.dtype for value in saved.network.values()} == {torch.float32, torch.int64}
    whole = checkpoint.load(fit(folder, recipe, tmp_path / "whole"))
    losses = [run.log[0]["loss"] for run in (saved, whole)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused(
    folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    asking = recipe.model_copy(update={"device": "cuda"})
    with pytest.raises(
        RecipeInvalid, match=r'device is "cuda", but torch .* finds none here; ther'
    ):
        fit(folder, asking, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_output_that_is_there_is_refused_and_left_alone(
    folder: Path, recipe: Recipe, out: Path, tmp_path: Path
) -> None:
    before = (out / "checkpoint.pt").read_bytes()
    with pytest.raises(OutputExists, match="is there already"):
        fit(folder, recipe, out)
    assert (out / "checkpoint.pt").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputExists):
        fit(folder, recipe, tmp_path / "file")


def test_a_refusal_writes_nothing(folder: Path, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid):
        fit(tmp_path / "nowhere", recipe, tmp_path / "run")
    crowded = recipe.model_copy(update={"batches": Batches(people=9)})
    with pytest.raises(RecipeInvalid, match=r"batches\.people is 9"):
        fit(folder, crowded, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_refused(out: Path, tmp_path: Path) -> None:
    with pytest.raises(RunInvalid, match=r"holds no run: there is no checkpoint\.pt"):
        load_run(tmp_path)
    whole = (out / "checkpoint.pt").read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        (tmp_path / "checkpoint.pt").write_bytes(content)
        with pytest.raises(RunInvalid, match=r"checkpoint\.pt is damaged; delete"):
            load_run(tmp_path)
    torch.save({"epoch": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(RunInvalid, match="not written by this version"):
        load_run(tmp_path)


def test_a_save_that_fails_leaves_the_previous_checkpoint(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint.load(out)
    saved.save(tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFull, match=r"; the checkpoint before it is kept: free some spa"):
        saved.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_first_save_that_fails_does_not_say_that_one_is_kept(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint.load(out)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFull, match=r"after epoch 2, and there is no checkpoint yet: free"):
        saved.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_after_the_last_checkpoint_is_out_of_tensorboards_view(
    tmp_path: Path,
) -> None:
    first = Log(tmp_path, [])
    for epoch, loss in ((1, 3.0), (2, 2.0), (3, 1.0)):
        first.add(epoch, 0.0, {"loss": loss, "validation_eer": None})
    again = Log(tmp_path, first.rows[:1])
    again.add(2, 0.0, {"loss": 2.5, "validation_eer": 0.5})
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    losses = [(event.step, event.value) for event in shown.Scalars("loss")]
    assert losses == [(1, 3.0), (2, 2.5)]
    assert [event.step for event in shown.Scalars("validation_eer")] == [2]


def test_a_checkpoint_with_one_changed_weight_is_refused(out: Path, tmp_path: Path) -> None:
    weights = checkpoint.load(out).network.values()
    weight = next(value for value in weights if value.ndim == 2)
    content = bytearray((out / "checkpoint.pt").read_bytes())
    content[content.index(weight.numpy().tobytes())] ^= 1
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(RunInvalid, match="is damaged"):
        load_run(tmp_path)


def test_a_run_of_a_recipe_that_this_version_does_not_know_is_refused(
    out: Path, tmp_path: Path
) -> None:
    saved = checkpoint.load(out)
    other_recipe = replace(saved, recipe='{"colour": "red"}')
    for other in (other_recipe, replace(saved, used={})):
        other.save(tmp_path)
        with pytest.raises(RunInvalid, match="this version does not know"):
            load_run(tmp_path)
