"""The file of API keys."""

import hashlib
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mien.errors import InvalidId, KeyNotFound, KeysInvalid, Unauthenticated
from mien.server.access import keyring
from mien.server.access.keyring import Keyring
from mien.server.access.keys import Role, accepted, create, read, revoke
from tests.processes import run

NOW = datetime.now(UTC)
VERIFY = frozenset({Role.VERIFY})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_32_random_bytes_of_which_a_hash_is_kept(file: Path) -> None:
    key, text = create(file, VERIFY, frozenset({"staff"}), note="door")
    prefix, id_, secret = text.split("_", 2)
    assert (prefix, id_) == ("mien", key.id)
    assert len(secret) == 43
    assert secret.encode() not in file.read_bytes()
    assert key.sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert read(file) == {key.id: key}
    assert (key.roles, key.galleries, key.note) == (VERIFY, frozenset({"staff"}), "door")
    assert create(file, VERIFY)[1].split("_", 2)[2] != secret


def test_only_its_owner_reads_the_file_and_others_may_not_write_it(file: Path) -> None:
    old = os.umask(0)
    try:
        create(file, VERIFY)
    finally:
        os.umask(old)
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o660)
    with pytest.raises(KeysInvalid, match=r"written by others.*chmod 600"):
        read(file)


def test_the_file_is_replaced_not_written_to(file: Path) -> None:
    create(file, VERIFY)
    with file.open("rb") as before:
        content = before.read()
        create(file, VERIFY)
        before.seek(0)
        assert before.read() == content
    assert len(read(file)) == 2


def test_keys_that_are_made_at_once_are_all_kept(file: Path) -> None:
    threads = [threading.Thread(target=create, args=(file, VERIFY)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(file)) == 8


def test_a_revoked_key_is_gone(file: Path) -> None:
    (one, _), (other, _) = create(file, VERIFY), create(file, VERIFY)
    assert revoke(file, one.id) == one
    assert list(read(file)) == [other.id]
    with pytest.raises(KeyNotFound, match=one.id):
        revoke(file, one.id)


def test_a_key_is_accepted_by_its_secret_until_it_expires(file: Path) -> None:
    key, text = create(file, VERIFY, expires=NOW + timedelta(hours=1))
    kept = read(file)
    assert accepted(kept, text, NOW) == key
    assert accepted(kept, text, NOW + timedelta(minutes=59)) == key
    assert accepted(kept, text, NOW + timedelta(hours=1)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text.replace("mien", "MIEN"),
        lambda text: text.partition("_")[2],
        lambda text: text.upper(),
        lambda _: "",
        lambda _: "mien",
        lambda _: "mien__",
        lambda _: "mien_ü_ü",
        lambda text: text.rpartition("_")[0] if text.count("_") == 2 else "mien_x_",
    ],
)
def test_anything_else_is_not(file: Path, change: object) -> None:
    _, text = create(file, VERIFY)
    assert callable(change)
    assert accepted(read(file), change(text), NOW) is None


def test_a_gallery_that_can_be_none_is_refused(file: Path) -> None:
    with pytest.raises(InvalidId):
        create(file, VERIFY, frozenset({"../x"}))
    assert not file.exists()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}x", '{"keys": [{"id": "x"}]}', '{"format": 1, "keys": [], "more": 1}'],
)
def test_a_damaged_file_is_refused_without_what_is_in_it(file: Path, content: str) -> None:
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(KeysInvalid, match="is no file of keys"):
        read(file)


def test_a_missing_file_is_refused_at_the_start(file: Path) -> None:
    with pytest.raises(KeysInvalid, match="mien keys create"):
        Keyring(file)


def test_a_keyring_looks_again_after_a_while_only(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = create(file, VERIFY)
    ring = Keyring(file)
    _, later = create(file, VERIFY)
    with pytest.raises(Unauthenticated):
        ring.key_of(f"Bearer {later}")
    monkeypatch.setattr(keyring, "LOOK_SECONDS", 0.0)
    assert ring.key_of(f"bearer {later}").id == later.split("_")[1]
    assert ring.key_of(f"Bearer {text}").id == text.split("_")[1]
    for wrong in (None, "", text, f"Basic {text}", "Bearer", f"Bearer {text} {text}"):
        with pytest.raises(Unauthenticated):
            ring.key_of(wrong)


class TestCommands:
    def test_a_key_is_made_listed_and_revoked(self, file: Path) -> None:
        made = run("mien", "keys", "create", "--file", file, "--role", "verify", "--role", "enroll",
                   "--gallery", "staff", "--days", "2", "--note", "door")  # fmt: skip
        assert made.returncode == 0
        text = made.stdout.strip()
        id_ = text.split("_")[1]
        assert accepted(read(file), text, NOW)
        assert text not in made.stderr
        listed = run("mien", "keys", "list", "--file", file).stdout
        assert f"{id_}  enroll, verify  staff  expires" in listed
        assert listed.strip().endswith("door")
        shown = json.loads(run("mien", "keys", "list", "--file", file, "--json").stdout)
        assert (shown["id"], shown["galleries"]) == (id_, ["staff"])
        assert "sha256" not in shown
        assert run("mien", "keys", "revoke", id_, "--file", file).returncode == 0
        assert read(file) == {}
        again = run("mien", "keys", "revoke", id_, "--file", file)
        assert again.returncode == 2
        assert "has no key" in again.stderr

    def test_a_key_has_a_role(self, file: Path) -> None:
        assert run("mien", "keys", "create", "--file", file).returncode == 2
        finished = run("mien", "keys", "create", "--file", file, "--role", "root")
        assert finished.returncode == 2

    def test_the_roles_of_the_command_are_all_there_are(self) -> None:
        from mien.cli.keys import ROLES

        assert set(ROLES) == set(Role)
