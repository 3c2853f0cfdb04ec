from pathlib import Path

import pytest

from mien.errors import RecipeInvalid
from mien_training.config.networks import Cnn, Residual
from mien_training.config.recipe import Recipe
from mien_training.loading import load_recipe, shipped
from tests.training.recipes import TOML, small


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_is_loaded_by_its_name(name: str) -> None:
    assert load_recipe(name).epochs > 0


def test_the_two_recipes_of_the_demo_are_shipped() -> None:
    assert {"orl-center", "orl-triplet"} <= set(shipped())


def test_a_recipe_is_loaded_by_its_path(tmp_path: Path) -> None:
    recipe = small(tmp_path)
    assert isinstance(recipe.network, Cnn)
    assert recipe.network.channels == (4, 4)


def test_an_override_reaches_through_tables_and_lists(tmp_path: Path) -> None:
    recipe = small(
        tmp_path,
        "optimiser.learning_rate=1",
        "network={kind='residual', channels=[8], blocks=[2]}",
        "augmentation.contrast.strength=0.5",
    )
    assert recipe.optimiser.learning_rate == 1.0
    assert isinstance(recipe.network, Residual)
    assert recipe.augmentation.contrast is not None
    assert recipe.augmentation.contrast.strength == 0.5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epoch=3", "unknown key epoch (value 3); the nearest known is epochs"),
        (
            "optimiser.learning_rat=0.1",
            "unknown key optimiser.learning_rat (value 0.1); the nearest known is learning_rate",
        ),
        (
            "losses.softmax.head={kind='cosface', scal=3}",
            "unknown key losses.softmax.head.scal (value 3); the nearest known is scale",
        ),
        ("losses.centre.rate=1", 'unknown key losses.centre (value {"rate": 1}); the nearest'),
        ("network.kind='cn'", 'network.kind is "cn"; the nearest known is cnn; there are cnn, l'),
        ("network={channels=[8]}", "network.kind is missing"),
        ("network=3", "network is 3: input should be an object"),
        ("epochs='3'", 'epochs is "3": input should be a valid integer'),
        ("epochs=3.5", "epochs is 3.5: input should be a valid integer"),
        ("epochs=2026-01-01", 'epochs is "2026-01-01": input should be a valid integer'),
        ("flip_embedding=1", "flip_embedding is 1: input should be a valid boolean"),
        ("epochs=0", "epochs is 0: input should be greater than or equal to 1"),
        ("optimiser.learning_rate=-0.1", "optimiser.learning_rate is -0.1: input should be great"),
        ("optimiser.learning_rate=inf", "optimiser.learning_rate is Infinity: input should be a"),
        ("network.channels=[4, 0]", "network.channels.1 is 0: input should be greater"),
        ("losses={}", "losses is empty; give at least one of softmax, "),
        ("losses={center={}}", "losses.center alone draws everybody to one point"),
        ("optimiser.kind='adan'", 'optimiser.kind is "adan"; the nearest known is adam; there are'),
        ("optimiser={kind='rmsprop', rho=1.0}", "optimiser.rho is 1.0: input should be less than"),
        ("optimiser.momentum=0", "so there is nothing to look ahead with; set optimiser.nesterov"),
        ("schedule={kind='step', factor=2}", "schedule.factor is 2: input should be less than 1"),
        ("early_stopping={patients=3}", "unknown key early_stopping.patients (value 3); the near"),
        ("device='gpu'", "device is \"gpu\": input should be 'auto', 'cpu', 'cuda' or 'mps'"),
        ("batches.pictures=1", "batches.pictures is 1, but losses.triplet needs two pictures"),
        ("network.channels=[1,1,1,1,1]", "a crop of 16×16 is too small for the layers"),
        (
            "network={kind='residual', channels=[7], blocks=[1]}",
            "network.channels.0 is 7: input should be greater than or equal to 8",
        ),
        (
            "network={kind='residual', channels=[8], blocks=[1, 1]}",
            "network.channels names 1 stages and network.blocks 2; give both the same length",
        ),
        ("epochs", "--set epochs: expected key=value"),
        ("network.kind=cnn", "--set network.kind=cnn: expected key=value, the value as TOML"),
        ("epochs.most=3", "--set epochs.most=3: epochs is a value and has no keys"),
    ],
)
def test_a_wrong_key_or_value_is_one_sentence(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeInvalid) as refused:
        small(tmp_path, override)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("watching", "message"),
    [
        ("schedule={kind='plateau'}", "schedule.kind is plateau, but validation_people is 0"),
        ("early_stopping={}", "early_stopping is on, but validation_people is 0"),
    ],
)
def test_without_validation_there_is_nothing_to_watch(
    tmp_path: Path, watching: str, message: str
) -> None:
    with pytest.raises(RecipeInvalid, match=message):
        small(tmp_path, "validation_people=0.0", watching)


def test_a_recipe_without_losses_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(RecipeInvalid, match="losses is missing"):
        load_recipe(str(tmp_path / "empty.toml"))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeInvalid, match="'orl-centre'; the nearest known is orl-center; there"):
        load_recipe("orl-centre")


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match=r"gone\.toml: No such file"):
        load_recipe(str(tmp_path / "gone.toml"))
    (tmp_path / "bad.toml").write_text(TOML + "= 3")
    with pytest.raises(RecipeInvalid, match=r"bad\.toml is no TOML: "):
        load_recipe(str(tmp_path / "bad.toml"))
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(RecipeInvalid, match=r"bad\.toml is no TOML: "):
        load_recipe(str(tmp_path / "bad.toml"))


def test_the_effective_recipe_is_read_back_equal(tmp_path: Path) -> None:
    recipe = small(tmp_path)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
