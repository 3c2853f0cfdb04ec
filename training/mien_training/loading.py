"""A recipe's TOML, and the overrides of a command line, to a `Recipe` or to one sentence."""

import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mien.errors import RecipeInvalid
from mien_training.config.recipe import Recipe

Tables: TypeAlias = dict[str, Any]
Location: TypeAlias = tuple[int | str, ...]


FOLLOWED = ("dimension", "crop", "network")
"""Keys that are those of the source that a run starts from."""
FREE = frozenset({"dropout", "drop_connect", "initialisation"})
"""Of a network, what changes no weight that is there."""


def load_recipe(
    name_or_path: str, overrides: Sequence[str] = (), source: Recipe | None = None
) -> Recipe:
    """Read a shipped recipe by its name, or any by the path of its .toml file.

    `overrides` are "dotted.key=value", the value as TOML writes it: 'network.kind="residual"'.

    A `source` is the recipe of the weights that are started from: network, crop and dimension are
    its own.

    Raises RecipeInvalid: no such recipe, no TOML, or a key that is unknown, missing, of another
    type, out of range or not the source's; the sentence names the key, its value and the nearest
    known one.
    """
    tables = _parse(_read(name_or_path), name_or_path)
    for override in overrides:
        _override(tables, override)
    if source:
        _follow(tables, json.loads(source.model_dump_json()), name_or_path)
    try:
        # JSON, because strict pydantic takes a list for a tuple there and nowhere else.
        return Recipe.model_validate_json(json.dumps(tables, default=str))
    except ValidationError as error:
        raise RecipeInvalid(f"recipe {name_or_path}: {_sentence(error.errors()[0])}") from None


def _follow(tables: Tables, theirs: Tables, recipe: str) -> None:
    """Give a recipe the keys of the source, unless it says otherwise."""
    for key in FOLLOWED:
        said = tables.get(key, theirs[key] if key == "dimension" else {})
        given = said if isinstance(said, dict) else {}
        for path, own, other in _contradicted(key, said, theirs[key]):
            raise RecipeInvalid(
                f"recipe {recipe}: {path} is {_show(own)}, and {_show(other)} in what it starts "
                "from; leave it out, it follows from --from"
            )
        free = {name: value for name, value in given.items() if name in FREE}
        tables[key] = theirs[key] | free if isinstance(theirs[key], dict) else theirs[key]


def _contradicted(key: str, own: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each key that a recipe has and the source has otherwise or not at all."""
    if not isinstance(own, dict):
        if own != theirs:
            yield key, own, theirs
        return
    for name in own.keys() - FREE:
        if own[name] != theirs.get(name):
            yield f"{key}.{name}", own[name], theirs.get(name)


def shipped() -> list[str]:
    """The names of the recipes that come with the package."""
    folder = resources.files("mien_training") / "recipes"
    return sorted(file.name[: -len(".toml")] for file in folder.iterdir() if _is_toml(file.name))


def _is_toml(name: str) -> bool:
    return name.endswith(".toml")


def _read(name_or_path: str) -> bytes:
    if name_or_path in shipped():
        return (resources.files("mien_training") / "recipes" / f"{name_or_path}.toml").read_bytes()
    if not _is_toml(name_or_path):
        raise RecipeInvalid(
            f"no recipe is called {name_or_path!r}{_nearest(name_or_path, shipped())}; "
            f"there are {', '.join(shipped())}, or give the path of a .toml file"
        )
    try:
        return Path(name_or_path).read_bytes()
    except OSError as error:
        raise RecipeInvalid(f"recipe {name_or_path}: {error.strerror}") from None


def _parse(content: bytes, source: str) -> Tables:
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeInvalid(f"recipe {source} is no TOML: {error}") from None


def _override(tables: Tables, override: str) -> None:
    key, equals, value = override.partition("=")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        equals = ""
    if not (equals and key):
        raise RecipeInvalid(
            f"--set {override}: expected key=value, the value as TOML writes it, "
            "such as epochs=20 or 'network.kind=\"cnn\"'"
        )
    *parents, last = key.split(".")
    for parent in parents:
        tables = tables.setdefault(parent, {})
        if not isinstance(tables, dict):
            raise RecipeInvalid(f"--set {override}: {parent} is a value and has no keys")
    tables[last] = parsed


def _sentence(error: ErrorDetails) -> str:
    """One refusal of pydantic as a sentence."""
    context = error.get("ctx", {})
    keys, known = _walk(error["loc"])
    key = ".".join(keys)
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key {key} (value {_show(error['input'])}){_nearest(keys[-1], known)}"
        case "missing":
            return f"{key} is missing"
        case "union_tag_not_found":
            return f"{key}.kind is missing"
        case "union_tag_invalid":
            kinds = context["expected_tags"].replace("'", "").split(", ")
            near = _nearest(context["tag"], kinds)
            return f"{key}.kind is {_show(context['tag'])}{near}; there are {', '.join(kinds)}"
        case "value_error":
            return str(context["error"])
        case _:
            return f"{key} is {_show(error['input'])}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _walk(location: Location) -> tuple[list[str], list[str]]:
    """The keys of a location as the recipe writes them, and the known neighbours of the last.

    Pydantic adds the kind of each union that it goes through, which no recipe writes.
    """
    keys: list[str] = []
    models: list[type[BaseModel]] = [Recipe]
    known: list[str] = []
    for part in location:
        chosen = [model for model in models if _kind(model) == part]
        if chosen and len(models) > 1:
            models = chosen
            continue
        keys.append(str(part))
        known = [name for model in models for name in model.model_fields]
        fields = [model.model_fields.get(str(part)) for model in models]
        models = [inner for field in fields if field for inner in _models(field.annotation)]
    return keys, known


def _kind(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return get_args(field.annotation)[0] if field else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models of an annotation: itself, or the members of its union."""
    members = get_args(annotation) or (annotation,)
    return [item for item in members if isinstance(item, type) and issubclass(item, BaseModel)]


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
    return f"; the nearest known is {close[0]}" if close else ""


def _show(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
