"""The commands as a person types them: real processes, a real server."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.model.bundle import Bundle
from tests.faces import encoded, folder_of_people
from tests.processes import ServerProcess, executable, run, serving

COMMANDS = ("serve", "enroll", "verify", "identify", "gallery", "evaluate", "health")


@pytest.fixture(scope="module")
def server(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(bundle.folder, tmp_path_factory.mktemp("data")) as process:
        yield process


@pytest.fixture
def gallery(server: ServerProcess, request: pytest.FixtureRequest) -> str:
    name = request.node.name[:100].replace("[", "-").replace("]", "")
    assert run("mien", "gallery", "create", name, "--server", server.address).returncode == 0
    return str(name)


def picture(folder: Path, person: int, shot: int) -> Path:
    path = folder / f"{person}-{shot}.png"
    path.write_bytes(encoded(person, shot))
    return path


def refused(finished: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a refusal: exit status 2, nothing else on stderr, no traceback."""
    assert finished.returncode == 2, finished
    assert finished.stdout == ""
    *usage, sentence = finished.stderr.strip().splitlines()
    assert all(line == "" or line.startswith(("Usage:", "Try ")) for line in usage), usage
    return sentence


def test_help_answers_in_under_a_second_and_never_imports_torch() -> None:
    command = [executable("mien"), "--help"]
    subprocess.run(command, check=True, capture_output=True)  # compiled and cached by now
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds.append(time.perf_counter() - started)
    assert all(command in printed for command in COMMANDS)
    assert min(seconds) < 1
    code = (
        "import sys; from mien.cli.main import main; main(['--help'], standalone_mode=False); "
        "print(sorted({'torch', 'grpc', 'onnxruntime', 'albumentations'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert printed.endswith("[]\n")


def test_no_module_of_the_service_imports_torch() -> None:
    code = (
        "import pkgutil, importlib, sys, mien\n"
        "for module in pkgutil.walk_packages(mien.__path__, 'mien.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(sorted({'torch', 'torchvision', 'albumentations'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert printed == "[]\n"


def test_a_folder_is_enrolled_and_its_people_are_identified(
    server: ServerProcess, gallery: str, tmp_path: Path
) -> None:
    people = folder_of_people(tmp_path / "people", people=4, shots=3)
    enrolled = run("mien", "enroll", people, "--gallery", gallery, "--server", server.address)
    assert enrolled.returncode == 0
    assert "enrolled 12 pictures of 4 subjects" in enrolled.stdout

    probe = picture(tmp_path, 2, 8)
    found = run("mien", "identify", probe, "--gallery", gallery, "--server", server.address)
    assert found.returncode == 0
    assert "identified" in found.stdout
    assert found.stdout.splitlines()[2].endswith("* person-2")

    stranger = picture(tmp_path, 90, 0)
    nobody = run("mien", "identify", stranger, "--gallery", gallery, "--threshold", "0.9",
                 "--server", server.address)  # fmt: skip
    assert nobody.returncode == 1
    assert "nobody in the gallery" in nobody.stdout

    printed = run("mien", "gallery", "list", "--json", "--server", server.address).stdout
    listed = [json.loads(line) for line in printed.splitlines()]
    assert [g["subjects"] for g in listed if g["gallery_id"] == gallery] == ["4"]


def test_enrolling_again_adds_only_what_is_new(
    server: ServerProcess, gallery: str, tmp_path: Path
) -> None:
    people = folder_of_people(tmp_path / "people", people=2, shots=2)
    command = ("mien", "enroll", people, "--gallery", gallery, "--server", server.address)
    run(*command)
    folder_of_people(people, people=1, shots=1, first=2)
    again = run(*command)
    assert "enrolled 1 pictures of 3 subjects, 4 known already" in again.stdout


def test_verify_tells_same_from_different_by_its_exit_status(
    server: ServerProcess, tmp_path: Path
) -> None:
    one, again, other = (picture(tmp_path, *who) for who in ((1, 0), (1, 1), (2, 0)))
    same = run("mien", "verify", one, again, "--server", server.address)
    assert same.returncode == 0
    assert same.stdout.startswith("same: similarity 0.")
    assert "FMR 0.0" in same.stdout
    different = run("mien", "verify", one, other, "--server", server.address)
    assert different.returncode == 1
    assert different.stdout.startswith("different")
    answer = run("mien", "verify", one, again, "--target-fmr", "0.05", "--json", "--server",
                 server.address)  # fmt: skip
    assert json.loads(answer.stdout)["applied"]["fmr"] <= 0.05


def test_a_deleted_gallery_is_gone(server: ServerProcess, gallery: str) -> None:
    deleted = run("mien", "gallery", "delete", gallery, "--yes", "--server", server.address)
    assert deleted.returncode == 0
    assert gallery not in run("mien", "gallery", "list", "--server", server.address).stdout


def test_health_tells_by_its_exit_status(server: ServerProcess) -> None:
    assert run("mien", "health", "--server", server.address).returncode == 0
    assert "no answer from" in refused(run("mien", "health", "--server", "127.0.0.1:1"))


def test_a_bad_picture_is_told_of_and_the_others_are_enrolled(
    server: ServerProcess, gallery: str, tmp_path: Path
) -> None:
    people = folder_of_people(tmp_path / "people", people=2, shots=2)
    (people / "person-1" / "bad.jpg").write_bytes(b"I am a text file")
    finished = run("mien", "enroll", people, "--gallery", gallery, "--server", server.address)
    assert finished.returncode == 1
    assert finished.stderr.startswith("'person-1/bad.jpg': IMAGE_UNDECODABLE: the 16 bytes are no")
    assert "enrolled 4 pictures of 2 subjects, 0 known already, 1 refused;" in finished.stdout


def test_names_in_any_script_are_enrolled(
    server: ServerProcess, gallery: str, tmp_path: Path
) -> None:
    people = folder_of_people(tmp_path / "people", people=1, shots=1)
    (people / "person-0").rename(people / "Zoë Ødegård")
    finished = run("mien", "enroll", people, "--gallery", gallery, "--server", server.address)
    assert finished.returncode == 0
    probe = people / "Zoë Ødegård" / "0.png"
    found = run("mien", "identify", probe, "--gallery", gallery, "--server", server.address)
    assert "Zoe-degard-u" in found.stdout


class TestBadFolders:
    """Each is refused in one sentence, and the gallery stays as it was."""

    @pytest.fixture
    def enroll(self, server: ServerProcess, gallery: str) -> Iterator[str]:
        yield server.address
        printed = run("mien", "gallery", "list", "--json", "--server", server.address).stdout
        infos = [json.loads(line) for line in printed.splitlines()]
        assert [g["samples"] for g in infos if g["gallery_id"] == gallery] == ["0"]

    def test_a_folder_without_people(self, enroll: str, gallery: str, tmp_path: Path) -> None:
        (tmp_path / "people").mkdir()
        finished = run(
            "mien", "enroll", tmp_path / "people", "--gallery", gallery, "--server", enroll
        )
        assert "has no people in it" in refused(finished)

    def test_a_missing_folder(self, enroll: str, gallery: str, tmp_path: Path) -> None:
        finished = run("mien", "enroll", tmp_path / "no", "--gallery", gallery, "--server", enroll)
        assert "is no folder" in refused(finished)

    def test_two_folders_of_one_name(self, enroll: str, gallery: str, tmp_path: Path) -> None:
        people = folder_of_people(tmp_path / "people", people=1, shots=1)
        folder_of_people(tmp_path / "more", people=1, shots=1)
        (tmp_path / "more" / "person-0").rename(people / "Person-0")
        finished = run("mien", "enroll", people, "--gallery", gallery, "--server", enroll)
        assert "two folders of one name" in refused(finished)


def test_an_unknown_gallery_is_refused_with_the_nearest_one(
    server: ServerProcess, gallery: str, tmp_path: Path
) -> None:
    people = folder_of_people(tmp_path / "people", people=1, shots=1)
    typo = gallery[:-1]
    for command in (
        ("mien", "enroll", people, "--gallery", typo),
        ("mien", "identify", people / "person-0" / "0.png", "--gallery", typo),
        ("mien", "gallery", "delete", typo, "--yes"),
    ):
        sentence = refused(run(*command, "--server", server.address))
        assert f"did you mean {gallery!r}" in sentence


def test_a_bad_gallery_id_is_refused(server: ServerProcess) -> None:
    finished = run("mien", "gallery", "create", "../x", "--server", server.address)
    assert "gallery id '../x' is not accepted" in refused(finished)


@pytest.mark.parametrize("option", [("--candidates", "-1"), ("--gallery", "st\udcff")])
def test_values_that_no_message_can_hold_are_refused(
    tmp_path: Path, option: tuple[str, str]
) -> None:
    probe = picture(tmp_path, 1, 0)
    finished = run("mien", "identify", probe, "--gallery", "g", *option)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr


def test_whatever_else_goes_wrong_is_not_taken_for_the_answer_no() -> None:
    code = (
        "import mien.client, mien.cli.main\n"
        "def fail(*_): raise ZeroDivisionError('unforeseen')\n"
        "mien.client.Client.is_serving = fail\n"
        "mien.cli.main.main(['health'])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert "unforeseen" in finished.stderr


def test_a_reader_that_stops_reading_is_no_error(server: ServerProcess) -> None:
    command = f"{executable('mien')} gallery list --server {server.address} | true"
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert finished.stderr == ""


def test_a_missing_picture_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    finished = run("mien", "verify", tmp_path / "a.png", tmp_path / "b.png")
    assert "does not exist" in refused(finished)


def test_a_rate_and_a_threshold_exclude_each_other(tmp_path: Path) -> None:
    one = picture(tmp_path, 1, 0)
    finished = run("mien", "verify", one, one, "--target-fmr", "0.1", "--threshold", "0.5")
    assert "exclude each other" in refused(finished)


def test_an_unknown_command_is_refused_with_what_there_is() -> None:
    assert "No such command" in refused(run("mien", "serv"))


class TestServe:
    def test_a_bundle_that_is_missing_or_changed_is_refused(
        self, bundle: Bundle, tmp_path: Path
    ) -> None:
        import shutil

        data = ("--data", tmp_path / "data")
        assert "is no bundle" in refused(run("mien", "serve", tmp_path, *data))
        copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
        (copy / "golden.npz").unlink()
        assert "golden.npz cannot be read" in refused(run("mien", "serve", copy, *data))
        (copy / "golden.npz").write_bytes(b"other")
        assert "golden.npz was changed" in refused(run("mien", "serve", copy, *data))
        assert not (tmp_path / "data").exists()

    def test_a_port_in_use_is_refused(
        self, server: ServerProcess, bundle: Bundle, tmp_path: Path
    ) -> None:
        finished = run("mien", "serve", bundle.folder, "--data", tmp_path / "d", "--address",
                       server.address)  # fmt: skip
        assert f"cannot listen on {server.address}" in refused(finished)
        assert not (tmp_path / "d").exists()

    def test_a_data_directory_in_use_is_refused(self, bundle: Bundle, tmp_path: Path) -> None:
        with serving(bundle.folder, tmp_path / "data") as first:
            finished = run("mien", "serve", bundle.folder, "--data", tmp_path / "data",
                           "--address", "127.0.0.1:0")  # fmt: skip
            assert str(first.process.pid) in refused(finished)

    def test_an_address_that_others_reach_is_refused(self, bundle: Bundle, tmp_path: Path) -> None:
        finished = run("mien", "serve", bundle.folder, "--data", tmp_path / "d", "--address",
                       "0.0.0.0:0")  # fmt: skip
        assert "--insecure" in refused(finished)

    def test_sigterm_ends_it_in_order(self, bundle: Bundle, tmp_path: Path) -> None:
        with serving(bundle.folder, tmp_path / "data") as process:
            assert process.terminate() == (0, "")

    def test_what_was_enrolled_survives_a_kill(self, bundle: Bundle, tmp_path: Path) -> None:
        people = folder_of_people(tmp_path / "people", people=3, shots=2)
        with serving(bundle.folder, tmp_path / "data") as first:
            run("mien", "gallery", "create", "g", "--server", first.address)
            run("mien", "enroll", people, "--gallery", "g", "--server", first.address)
            first.kill()
        with serving(bundle.folder, tmp_path / "data") as second:
            found = run("mien", "identify", picture(tmp_path, 1, 9), "--gallery", "g",
                        "--server", second.address)  # fmt: skip
            assert found.stdout.splitlines()[2].endswith("* person-1")
