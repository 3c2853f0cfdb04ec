"""TLS and mutual TLS over a real socket."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from mien.client import AsyncClient, Client
from mien.client.credentials import Credentials
from mien.errors import ServerUnavailable, SettingsInvalid, Unauthenticated
from mien.model.bundle import Bundle
from mien.server.access.keys import Role, create
from mien.server.server import Server
from mien.server.settings import Settings
from tests.processes import run


@dataclass
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    private_key: Path

    @property
    def shown(self) -> dict[str, Any]:
        return {
            "certificate_chain": self.certificate.read_bytes(),
            "private_key": self.private_key.read_bytes(),
        }


@dataclass
class Authority:
    folder: Path
    made: trustme.CA

    @property
    def file(self) -> Path:
        path = self.folder / "ca.pem"
        self.made.cert_pem.write_to_path(path)
        return path

    @property
    def trusted(self) -> dict[str, Any]:
        return {"root_certificates": self.file.read_bytes()}

    def pair(self, name: str) -> Pair:
        leaf = self.made.issue_cert(name, common_name=name)
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        leaf.private_key_pem.write_to_path(pair.private_key)
        for position, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(pair.certificate, append=position > 0)
        return pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), trustme.CA())


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), trustme.CA())


@contextmanager
def serving(bundle: Bundle, data: Path, pair: Pair, **more: Any) -> Iterator[str]:
    settings = Settings(
        bundle.folder,
        data,
        port=0,
        certificate=pair.certificate,
        private_key=pair.private_key,
        **more,
    )
    with Server(settings) as server:
        yield f"localhost:{server.port}"


class TestTls:
    @pytest.fixture
    def address(self, bundle: Bundle, tmp_path: Path, authority: Authority) -> Iterator[str]:
        with serving(bundle, tmp_path / "data", authority.pair("localhost")) as address:
            yield address

    def test_who_trusts_the_authority_is_answered(self, address: str, authority: Authority) -> None:
        with Client(address, **authority.trusted) as client:
            assert client.is_serving()

    def test_who_trusts_another_is_not(self, address: str, stranger: Authority) -> None:
        with Client(address, deadline=2, **stranger.trusted) as client:  # noqa: SIM117
            with pytest.raises(ServerUnavailable):
                client.model()

    def test_plain_text_is_not_answered(self, address: str) -> None:
        with Client(address, deadline=2) as client, pytest.raises(ServerUnavailable):
            client.model()

    def test_the_usual_authorities_do_not_know_ours(self, address: str) -> None:
        with Client(address, deadline=2, tls=True) as client, pytest.raises(ServerUnavailable):
            client.model()

    def test_the_certificate_has_to_be_for_the_address(
        self, bundle: Bundle, tmp_path: Path, authority: Authority
    ) -> None:
        elsewhere = authority.pair("example.org")
        with serving(bundle, tmp_path / "elsewhere", elsewhere) as address:  # noqa: SIM117
            with Client(address, deadline=2, **authority.trusted) as client:
                with pytest.raises(ServerUnavailable):
                    client.model()

    def test_commands_trust_what_they_are_told(self, address: str, authority: Authority) -> None:
        assert run("mien", "health", "--server", address).returncode == 2
        trusting = run("mien", "health", "--server", address, "--tls-ca", authority.file)
        assert trusting.returncode == 0, trusting.stderr


class TestMutualTls:
    @pytest.fixture
    def address(self, bundle: Bundle, tmp_path: Path, authority: Authority) -> Iterator[str]:
        pair, ca = authority.pair("localhost"), authority.file
        with serving(bundle, tmp_path / "data", pair, client_ca=ca) as address:
            yield address

    def test_a_certificate_of_the_authority_is_let_in(
        self, address: str, authority: Authority
    ) -> None:
        with Client(address, **authority.trusted, **authority.pair("door").shown) as client:
            client.model()

    def test_without_a_certificate_nobody_is(self, address: str, authority: Authority) -> None:
        with Client(address, deadline=2, **authority.trusted) as client:  # noqa: SIM117
            with pytest.raises(ServerUnavailable):
                client.model()

    def test_a_certificate_of_another_authority_is_refused(
        self, address: str, authority: Authority, stranger: Authority
    ) -> None:
        foreign = stranger.pair("door")
        with Client(address, deadline=2, **authority.trusted, **foreign.shown) as client:  # noqa: SIM117
            with pytest.raises(ServerUnavailable):
                client.model()

    def test_commands_show_what_they_are_told(self, address: str, authority: Authority) -> None:
        door = authority.pair("door")
        finished = run("mien", "health", "--server", address, "--tls-ca", authority.file,
                       "--tls-cert", door.certificate, "--tls-key", door.private_key)  # fmt: skip
        assert finished.returncode == 0, finished.stderr


class TestKeysOverTls:
    def test_a_key_comes_with_every_call_of_both_clients(
        self, bundle: Bundle, tmp_path: Path, authority: Authority
    ) -> None:
        file = tmp_path / "keys.json"
        _, key = create(file, frozenset(Role))
        (tmp_path / "key").write_text(key + "\n")
        pair = authority.pair("localhost")
        with serving(bundle, tmp_path / "data", pair, keys=file) as address:
            with Client(address, **authority.trusted, api_key=key) as client:
                client.create_gallery("g")
                assert list(client.identify_stream([])) == []
            with Client(address, **authority.trusted) as client:  # noqa: SIM117
                with pytest.raises(Unauthenticated, match="authorization: Bearer KEY"):
                    client.model()
            assert asyncio.run(awaited(address, authority, key)) == ["g"]
            command = ("mien", "gallery", "list", "--server", address, "--tls-ca", authority.file)
            assert "wants an API key" in run(*command).stderr
            listed = run(*command, "--api-key-file", tmp_path / "key")
            assert listed.stdout.startswith("g "), listed.stderr


async def awaited(address: str, authority: Authority, key: str) -> list[str]:
    async with AsyncClient(address, **authority.trusted, api_key=key) as client:
        await client.model()
        return [each.gallery_id async for each in client.galleries()]


class TestWhatIsRefusedAtTheStart:
    def test_files_that_are_no_certificate_and_key(
        self, bundle: Bundle, tmp_path: Path, authority: Authority, stranger: Authority
    ) -> None:
        good, other = authority.pair("localhost"), stranger.pair("localhost")
        none = tmp_path / "none.pem"
        none.write_text("none")
        for pair in (
            Pair(none, good.private_key),
            Pair(good.certificate, none),
            Pair(good.certificate, other.private_key),
            Pair(tmp_path / "missing", good.private_key),
        ):
            with (
                pytest.raises(SettingsInvalid, match="no certificate in PEM and its key"),
                serving(bundle, tmp_path / "data", pair),
            ):
                pass
        with (
            pytest.raises(SettingsInvalid, match="has no certificates"),
            serving(bundle, tmp_path / "data", good, client_ca=none),
        ):
            pass
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"certificate": Path("c")}, "certificate is given without private_key"),
            ({"private_key": Path("k")}, "private_key is given without certificate"),
            ({"client_ca": Path("a")}, "mutual TLS takes all three"),
        ],
    )
    def test_half_of_what_tls_takes(self, given: dict[str, Path], message: str) -> None:
        with pytest.raises(SettingsInvalid, match=message):
            Settings(Path("b"), **given)  # type: ignore[arg-type]

    def test_an_address_that_others_reach_without_encryption_or_without_knowing_who(self) -> None:
        reached = {"host": "0.0.0.0"}  # noqa: S104
        tls = {"certificate": Path("c"), "private_key": Path("k")}
        keys = {"keys": Path("keys")}
        for given in ({}, keys):
            with pytest.raises(SettingsInvalid, match="is not encrypted"):
                Settings(Path("b"), **reached, **given)  # type: ignore[arg-type]
        with pytest.raises(SettingsInvalid, match="anybody may call"):
            Settings(Path("b"), **reached, **tls)  # type: ignore[arg-type]
        for enough in ({**tls, **keys}, {**tls, "client_ca": Path("a")}, {"insecure": True}):
            Settings(Path("b"), **reached, **enough)  # type: ignore[arg-type]


class TestCredentials:
    def test_a_key_goes_unencrypted_to_this_machine_only(self) -> None:
        for address in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
            Client(address, api_key="k").close()
        with pytest.raises(SettingsInvalid, match=r"would go to example\.org unencrypted"):
            Client("example.org:1", api_key="k")
        Client("example.org:1", api_key="k", tls=True).close()
        Client("example.org:1", api_key="k", insecure=True).close()
        Client("example.org:1").close()

    def test_a_certificate_without_its_key_is_refused(self) -> None:
        with pytest.raises(SettingsInvalid, match="go together"):
            Client("localhost:1", certificate_chain=b"c")

    def test_secrets_are_not_printed(self) -> None:
        shown = repr(Credentials(b"r", b"c", b"SECRET", "SECRET"))
        assert "SECRET" not in shown
