"""Where settings come from, and which source comes before which."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from mien.cli.serve import serve
from mien.errors import SettingsInvalid
from mien.server import sources
from mien.server.settings import Settings
from mien.server.sources import CLIENT, keys, load
from tests.processes import run

FIELDS = [field.name for field in dataclasses.fields(Settings)]


def toml(folder: Path, content: str) -> Path:
    path = folder / "mien.toml"
    path.write_text(content)
    return path


def test_flags_come_before_the_environment_before_the_file_before_defaults(tmp_path: Path) -> None:
    file = toml(tmp_path, 'bundle = "b"\ncalls = 1\nqueue = 1\nbatch = 1\n')
    environment = {"MIEN_CALLS": "2", "MIEN_QUEUE": "2"}
    loaded = load(file, environment, {"calls": "3", "threads": None})
    settings, origins = loaded.settings, loaded.origins
    assert (settings.calls, settings.queue, settings.batch, settings.threads) == (3, 2, 1, 0)
    assert settings.bundle == Path("b")
    assert [origins[name] for name in ("calls", "queue", "batch", "threads")] == [
        "--calls",
        "MIEN_QUEUE",
        str(file),
        "default",
    ]


def test_the_defaults_are_those_of_the_class() -> None:
    loaded = load(flags={"bundle": "b"})
    assert loaded.settings == Settings(Path("b"))
    assert loaded.origins["bundle"] == "BUNDLE"
    assert set(loaded.origins) == set(FIELDS)


def test_an_address_is_host_and_port_in_every_source(tmp_path: Path) -> None:
    file = toml(tmp_path, 'address = "127.0.0.2:1"')
    assert load(file).settings.address == "127.0.0.2:1"
    assert load(file, {"MIEN_ADDRESS": "127.0.0.3:2"}).settings.address == "127.0.0.3:2"
    loaded = load(file, {"MIEN_ADDRESS": "127.0.0.3:2"}, {"address": "[::1]:3"})
    assert (loaded.settings.host, loaded.settings.port) == ("::1", 3)
    assert loaded.origins["host"] == loaded.origins["port"] == "--address"
    with pytest.raises(SettingsInvalid, match="is no HOST:PORT"):
        load(flags={"address": "here"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("thread = 2", "has the key 'thread', which is no setting; did you mean 'threads'"),
        ("port = 1", "has the key 'port', which is no setting"),
        ("[server]\ncalls = 1", "has the key 'server', which is no setting"),
        ('calls = "4"', "calls is '\"4\"' .* valid integer"),
        ("calls = true", "calls is 'true' .* valid integer"),
        ("calls = 1.5", "calls is '1.5' .* valid integer"),
        ("calls = 0", "calls is 0; give 1 or more"),
        ("drain_seconds = nan", "drain_seconds"),
        ("reflection = 1", "valid boolean"),
        ('log_level = "loud"', "'debug', 'info', 'warning' or 'error'"),
        ("default_target_fmr = 1.0", "an error rate is in"),
        ("calls =", "cannot be read as TOML"),
    ],
)
def test_a_file_with_what_is_no_setting_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        load(toml(tmp_path, line))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"none\.toml cannot be read"):
        load(tmp_path / "none.toml")


def test_a_variable_that_looks_like_a_setting_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsInvalid, match=r"MIEN_THREAD .* did you mean 'MIEN_THREADS'"):
        load(environment={"MIEN_THREAD": "2"})
    with pytest.raises(SettingsInvalid, match=r"queue is 'many' \(MIEN_QUEUE\)"):
        load(environment={"MIEN_QUEUE": "many"})


def test_variables_that_are_for_others_are_left_alone() -> None:
    others = {f"MIEN_{name.upper()}": "x" for name in CLIENT} | {
        "MIEN_SERVICE_HOST": "10.0.0.1",
        "MIEN_SERVICE_PORT_GRPC": "50051",
        "MIEN_PORT": "tcp://10.0.0.1:50051",
        "MIEN_PORT_50051_TCP_ADDR": "10.0.0.1",
        "PATH": "/bin",
        "MIEN_CALLS": "",
    }
    assert load(environment=others, flags={"bundle": "b"}).settings == Settings(Path("b"))


def test_an_empty_text_takes_back_what_another_source_said(tmp_path: Path) -> None:
    file = toml(tmp_path, 'audit = "audit.jsonl"')
    assert load(file).settings.audit == Path("audit.jsonl")
    assert load(file, flags={"audit": ""}).settings.audit is None
    assert load(toml(tmp_path, 'audit = ""')).settings.audit is None


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("yes", True)])
def test_switches_of_the_environment_are_read(text: str, value: bool) -> None:
    assert load(environment={"MIEN_REFLECTION": text}).settings.reflection is value


def test_every_field_has_a_flag_and_every_flag_a_field() -> None:
    context = click.Context(serve)
    names = {each.name for each in serve.get_params(context) if each.name}
    own = {"config", "show_settings"} | {name for name in names if "help" in name}
    flags = names - own
    assert flags == set(keys())
    assert (flags - {"address"}) | {"host", "port"} == set(FIELDS)


def test_every_setting_is_described_and_says_its_default() -> None:
    help_text = serve.get_help(click.Context(serve, info_name="serve", max_content_width=400))
    for key in set(keys()) - {"bundle"}:
        assert sources.described(key) in " ".join(help_text.split()), key
    assert "[default: 512]" in help_text


def values() -> dict[str, Any]:
    """Of every setting another than its default."""
    return {
        name: {
            "host": "::1",
            "log_level": "debug",
            "metrics_address": "127.0.0.1:1",
            "default_target_fmr": 0.5,
            "default_target_fpir": 0.5,
        }.get(name, Path("other") if default in (None, Path("mien-data")) else None)
        for name, default in ((field.name, field.default) for field in dataclasses.fields(Settings))
    }


def test_every_setting_can_be_said_by_every_source(tmp_path: Path) -> None:
    for key in set(keys()) - {"address", "bundle", "certificate", "private_key", "client_ca"}:
        default = sources.default(key)
        text = values()[key] or (not default if isinstance(default, bool) else default + 1)
        bare = str(text).lower() if not isinstance(text, str | Path) else f'"{text}"'
        for loaded in (
            load(toml(tmp_path, f"{key} = {bare}")),
            load(environment={f"MIEN_{key.upper()}": str(text)}),
            load(flags={key: str(text)}),
        ):
            assert getattr(loaded.settings, key) == text != default, key
            assert loaded.origins[key] != "default"


class TestShowSettings:
    def test_each_value_is_shown_with_its_origin_and_no_secret(self, tmp_path: Path) -> None:
        file = toml(tmp_path, "queue = 9")
        program = Path(sys.executable).with_name("mien")
        shown = subprocess.run(
            [program, "serve", "--config", file, "--show-settings", "--calls", "7"],
            capture_output=True,
            text=True,
            check=True,
            env={"MIEN_BATCH": "4", "MIEN_API_KEY": "mien_secret"} | path_of_tests(),
        ).stdout
        lines = {line.split(" = ")[0]: line.split(" = ")[1] for line in shown.splitlines()}
        assert set(lines) == set(FIELDS)
        assert lines["queue"].split("  ")[0] == "9"
        assert lines["queue"].endswith(f"({file})")
        assert lines["batch"].endswith("(MIEN_BATCH)")
        assert lines["calls"].endswith("(--calls)")
        assert lines["threads"].endswith("(default)")
        assert lines["bundle"].split("  ")[0] == '"mien-s"'
        assert lines["bundle"].endswith("(default)")
        assert "secret" not in shown

    def test_a_bundle_that_is_not_there_is_not_served(self) -> None:
        finished = run("mien", "serve", "nowhere")
        assert finished.returncode == 2
        assert "nowhere is no bundle: there is no such folder" in finished.stderr


def path_of_tests() -> dict[str, str]:
    """Where a process finds the package that is tested."""
    import os

    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
