"""Where settings come from: defaults < a TOML file < `MIEN_*` in the environment < flags.

Every source knows the same keys: the fields of `Settings`, but `address` (HOST:PORT) for host and
port. A key that nobody knows is an error in each of them.
"""

import dataclasses
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mien.errors import SettingsInvalid
from mien.gallery.ids import suggestion
from mien.server.settings import Settings, parse_address

PREFIX = "MIEN_"
ADDRESS = "address"
DEFAULT = "default"

CLIENT = frozenset(
    {"server", "api_key", "api_key_file", "tls", "tls_ca", "tls_cert", "tls_key"}
    | {"config", "models"}
)
"""Of `MIEN_*`: what commands that call a server read, the name of the TOML file, and the folder of
the face detector (`mien.vision.detector_file`)."""

_SERVICE_LINK = re.compile(r"MIEN_(SERVICE_(HOST|PORT)\w*|PORT(_\d+_(TCP|UDP)\w*)?)")
"""What Kubernetes puts into each container's environment for a service of the name "mien"."""


@dataclass(frozen=True)
class Loaded:
    """Settings, and of each field where its value came from."""

    settings: Settings
    origins: Mapping[str, str]

    def lines(self) -> list[str]:
        """`name = value  (origin)`, in the order of the fields. No field holds a secret."""
        names = [field.name for field in dataclasses.fields(Settings)]
        shown = {name: f"{name} = {_shown(getattr(self.settings, name))}" for name in names}
        width = max(map(len, shown.values()))
        return [f"{shown[name]:{width}}  ({self.origins[name]})" for name in names]


@dataclass(frozen=True)
class _Said:
    """One key of one source."""

    origin: str
    value: str
    is_json: bool = False
    """It has a type; text from elsewhere gets the type of the setting."""


def keys() -> list[str]:
    """What every source may say, in the order of the fields."""
    names = [field.name for field in dataclasses.fields(Settings)]
    return [ADDRESS if name == "host" else name for name in names if name != "port"]


def load(
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Loaded:
    """The settings of all sources. Flags that are None were not given.

    Raises SettingsInvalid for an unknown key, a value of the wrong type or out of range, and a file
    that cannot be read.
    """
    said: dict[str, _Said] = {}
    if config is not None:
        said |= _read_file(config)
    said |= _read_environment(environment or {})
    said |= _read_flags(flags or {})
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for key, each in said.items():
        for name, value in _typed(key, each).items():
            values[name], origins[name] = value, each.origin
    names = (field.name for field in dataclasses.fields(Settings))
    return Loaded(Settings(**values), {name: origins.get(name, DEFAULT) for name in names})


@cache
def described(key: str) -> str:
    """What is said of a key: the docstring of its field."""
    if key == ADDRESS:
        return "HOST:PORT to listen on; port 0 takes a free one."
    return str(TypeAdapter(Settings).json_schema()["properties"][key]["description"])


def default(key: str) -> Any:
    """The default of a key; None if there is none."""
    if key == ADDRESS:
        return Settings().address
    (field,) = (field for field in dataclasses.fields(Settings) if field.name == key)
    return None if field.default is dataclasses.MISSING else field.default


def _read_file(path: Path) -> dict[str, _Said]:
    try:
        read = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"{path} cannot be read as TOML: {error}") from None
    _refuse_unknown(read, keys(), lambda key: f"{path} has the key {key!r}, which is no setting")
    return {
        key: _Said(str(path), json.dumps(value, default=str), is_json=True)
        for key, value in read.items()
    }


def _read_environment(environment: Mapping[str, str]) -> dict[str, _Said]:
    """An empty value counts as not given."""
    ours = {
        name: value
        for name, value in environment.items()
        if name.startswith(PREFIX) and not _SERVICE_LINK.fullmatch(name)
    }
    known = [PREFIX + key.upper() for key in (*keys(), *sorted(CLIENT))]
    _refuse_unknown(ours, known, lambda name: f"{name} in the environment is no setting")
    return {
        key: _Said(name, value)
        for name, value in ours.items()
        if value and (key := name.removeprefix(PREFIX).lower()) not in CLIENT
    }


def _read_flags(flags: Mapping[str, Any]) -> dict[str, _Said]:
    _refuse_unknown(flags, keys(), lambda key: f"{flag(key)} is no flag")
    return {key: _Said(flag(key), str(value)) for key, value in flags.items() if value is not None}


def flag(key: str) -> str:
    """`--max-streams` of max_streams; the bundle is an argument."""
    return "BUNDLE" if key == "bundle" else "--" + key.replace("_", "-")


def _refuse_unknown(given: Iterable[str], known: list[str], sentence: Callable[[str], str]) -> None:
    for name in given:
        if name not in known:
            raise SettingsInvalid(f"{sentence(name)}{suggestion(name, known)}")


def _typed(key: str, said: _Said) -> dict[str, Any]:
    """The fields that a key sets; an empty text sets what need not be set to nothing."""
    kind = str if key == ADDRESS else get_type_hints(Settings)[key]
    adapter: TypeAdapter[Any] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
    if said.value in ("", '""') and default(key) is None and key != "bundle":
        return {key: None}
    try:
        if said.is_json:
            value = adapter.validate_json(said.value, strict=True)
        else:
            value = adapter.validate_strings(said.value)
    except ValidationError as error:
        raise SettingsInvalid(
            f"{key} is {said.value!r} ({said.origin}): {error.errors()[0]['msg']}; "
            "`mien serve --help` says what it may be"
        ) from None
    if key == ADDRESS:
        host, port = parse_address(value)
        return {"host": host, "port": port}
    return {key: value}


def _shown(value: Any) -> str:
    """As a TOML file would say it; nothing where there is nothing."""
    if value is None:
        return '""'
    return json.dumps(str(value) if isinstance(value, Path) else value)
