from pathlib import Path

import pytest

from mien.errors import SettingsInvalid
from mien.server.settings import AT_LEAST_ZERO, Settings, parse_address


def settings(host: str, insecure: bool = False) -> Settings:
    return Settings(Path("bundle"), Path("data"), host, 0, insecure=insecure)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "example.org"])  # noqa: S104
def test_addresses_that_others_can_reach_need_a_word(host: str) -> None:
    with pytest.raises(SettingsInvalid, match="--insecure"):
        settings(host)
    settings(host, insecure=True)


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "[::]:0", "metrics.example.org:9464"])
@pytest.mark.parametrize("insecure", [False, True])
def test_metrics_that_others_can_read_need_a_word_of_their_own(
    address: str, insecure: bool
) -> None:
    bundle = Path("bundle")
    with pytest.raises(SettingsInvalid, match="or say --insecure-metrics"):
        Settings(bundle, insecure=insecure, metrics_address=address)
    Settings(bundle, insecure=insecure, metrics_address=address, insecure_metrics=True)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:9464", "localhost:9464", ""])
def test_metrics_on_loopback_need_none(address: str) -> None:
    Settings(Path("bundle"), metrics_address=address)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_loopback_needs_none(host: str) -> None:
    settings(host)


def test_an_address_is_host_and_port() -> None:
    assert parse_address("127.0.0.1:50051") == ("127.0.0.1", 50051)
    assert parse_address("[::1]:0") == ("::1", 0)
    assert settings("::1").address == "[::1]:0"


@pytest.mark.parametrize("address", ["", "50051", ":50051", "host:", "host:http", "host:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsInvalid, match="is no HOST:PORT"):
        parse_address(address)


@pytest.mark.parametrize("name", ["calls", "queue"])
def test_a_server_that_would_answer_nobody_is_refused(name: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name} is 0; give 1 or more"):
        Settings(Path("bundle"), Path("data"), **{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", AT_LEAST_ZERO)
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_less_than_nothing_is_refused(name: str, value: float) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name} is .*; give 0 or more"):
        Settings(Path("bundle"), Path("data"), **{name: value})  # type: ignore[arg-type]
