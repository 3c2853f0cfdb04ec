"""Every table, key and default of a recipe is documented, with its source or as our own choice,
and docs/training.md says it as it is."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from mien_training.config import optimisation
from mien_training.config.augmentation import Augmentation, Flip
from mien_training.config.networks import Cnn, Residual
from mien_training.config.recipe import Batches, Crop, Recipe
from mien_training.config.table import Settings
from mien_training.loading import load_recipe


def _all_settings(root: type[Settings] = Settings) -> list[type[Settings]]:
    return [model for child in root.__subclasses__() for model in (child, *_all_settings(child))]


MODELS = _all_settings()
models = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
SOURCE = re.compile(r"\b(19|20)\d\d\b|\bours\b|\btorch|\b[01]\sis\soff\b", re.IGNORECASE)
"""A year of what is cited, a word that it is our own or torch's, or a number that does nothing."""


@models
def test_every_table_and_key_is_documented(model: type[Settings]) -> None:
    assert model.__doc__
    for name, field in model.model_fields.items():
        is_table = field.default is None or field.is_required()  # says it in its own docstring
        assert field.description or name == "kind" or is_table, name


@models
def test_every_default_has_a_source_or_is_called_ours(model: type[Settings]) -> None:
    for name, field in model.model_fields.items():
        if not field.is_required() and field.default is not None:
            assert field.description, name
            assert SOURCE.search(field.description), f"{name}: {field.description}"


def test_no_table_escapes() -> None:
    """The two tests above see every table of a recipe, and every key of it."""
    assert {Recipe, Crop, Batches, Cnn, Residual} <= set(MODELS)
    defaults = [f for model in MODELS for f in model.model_fields.values() if not f.is_required()]
    assert len(defaults) > 100
    assert not SOURCE.search("Pixels; the most is 1024.")


TRAINING = (Path(__file__).parents[2] / "docs" / "training.md").read_text()


def test_every_key_of_optimisation_is_in_the_document() -> None:
    models = [model for model in MODELS if model.__module__ == optimisation.__name__]
    assert len(models) > 9
    for model in models:
        for name, field in model.model_fields.items():
            named = get_args(field.annotation) if name == "kind" else (name,)
            assert any(f'`"{key}"`' in TRAINING or f"{key}`" in TRAINING for key in named), (
                model,
                name,
            )


@pytest.mark.parametrize("model", get_args(get_args(optimisation.Optimiser)[0]))
def test_an_optimisers_row_has_its_defaults(model: type[Settings]) -> None:
    _assert_defaults_in_row(model)


@pytest.mark.parametrize("model", get_args(get_args(optimisation.Schedule)[0]))
def test_a_schedules_row_has_its_defaults(model: type[Settings]) -> None:
    _assert_defaults_in_row(model, "warm_up_epochs")


def _assert_defaults_in_row(model: type[Settings], *said_of_all: str) -> None:
    """A row is enough for what differs from the rest: no penalty, and no key as in Adam."""
    (kind,) = get_args(model.model_fields["kind"].annotation)
    (row,) = [line for line in TRAINING.splitlines() if line.startswith(f'| `"{kind}"` |')]
    for name, field in model.model_fields.items():
        as_in_adam = kind == "adamw" and field.default == _default_of_adam(name)
        if name == "kind" or name in said_of_all or as_in_adam or _is_off(name, field.default):
            continue
        (said,) = re.findall(rf"`{name}` (?:γ )?`?([^`,; |)]+)", row.split("|")[-2])
        assert said.strip('"') == _shown(field.default).strip('"'), name


def _default_of_adam(name: str) -> object:
    field = optimisation.Adam.model_fields.get(name)
    return field.default if field else None


def _is_off(name: str, default: object) -> bool:
    return name in ("l1", "weight_decay") and default == 0


def _shown(default: object) -> str:
    """As a recipe would have it."""
    if isinstance(default, float):
        return f"{default:g}".replace("e-0", "e-").replace("0.0005", "5e-4")
    return json.dumps(getattr(default, "kind", default))


def _row_of(key: str) -> list[str]:
    """The other cells of the row that begins with this key, which may share it."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TRAINING.splitlines()]
    (row,) = [row for row in rows if row and f"`{key}`" in row[0]]
    return row[1:]


KEYS = {
    f"{table}{name}": field
    for table, model in (("", Recipe), ("crop.", Crop), ("batches.", Batches))
    for name, field in model.model_fields.items()
}
WRITTEN_OUT = {"crop", "batches"}
"""Key by key."""


@pytest.mark.parametrize("key", sorted(KEYS.keys() - {"losses"} - WRITTEN_OUT))
def test_every_key_of_a_run_is_in_the_document_with_its_default(key: str) -> None:
    default = KEYS[key].default
    said = _row_of(key)[0]
    match default:
        case None:
            assert said == "no table, off"
        case Augmentation():
            assert default == Augmentation(flip=Flip())
            assert said == "`flip` alone"
        case Settings():
            assert said == f'`"{default.kind}"`'  # type: ignore[attr-defined]
        case str():
            assert said == f'`"{default}"`'
        case _:
            assert said.split(",")[0] == _shown(default)


def test_the_document_says_that_losses_have_no_default() -> None:
    assert KEYS["losses"].is_required()
    assert "A recipe must name its `losses`" in TRAINING


def test_without_a_table_of_augmentation_pictures_are_flipped_and_nothing_else(
    tmp_path: Path,
) -> None:
    """As docs/losses.md says."""
    (tmp_path / "bare.toml").write_text("[losses.softmax]\n")
    recipe = load_recipe(str(tmp_path / "bare.toml"))
    assert recipe.augmentation == Augmentation(flip=Flip())
    bare = load_recipe(str(tmp_path / "bare.toml"), ["augmentation={}"])
    assert bare.augmentation == Augmentation()
    (tmp_path / "noisy.toml").write_text("[losses.softmax]\n[augmentation.noise]\n")
    assert load_recipe(str(tmp_path / "noisy.toml")).augmentation.flip is None
    told = (Path(__file__).parents[2] / "docs" / "losses.md").read_text()
    assert "`[augmentation]` has `flip`; `augmentation = {}` takes that away too" in told


@pytest.mark.parametrize("name", ["loading", "selection"])
def test_the_benchmarks_of_training_are_named_in_its_document(name: str) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    assert script.is_file()
    assert f"`python benchmarks/{name}.py`" in TRAINING
