"""Photographs of several faces on the command line: a real server over a real socket."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mien.cli.main import main
from mien.client import Client
from mien.model.bundle import Bundle
from mien.server import server as servers
from mien.server.server import Server
from mien.server.settings import Settings
from tests import bundles
from tests.server.test_faces import ONE, TWO, photo, shares
from tests.vision.portraits import Patches


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.aligned_calibrated(tmp_path_factory.mktemp("aligned") / "projection")


@pytest.fixture
def address(aligned: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Ann is the larger face of the group, Ben the smaller, who is enrolled too."""
    monkeypatch.setattr(servers, "detector_for", lambda alignment, model: Patches())
    with Server(Settings(aligned.folder, tmp_path / "data", port=0)) as serving:
        told = f"127.0.0.1:{serving.port}"
        with Client(told) as client:
            client.create_gallery("people")
            client.enroll("people", "ann", photo(ONE, person=1))
            client.enroll("people", "ben", photo(TWO, person=2))
        yield told


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    """`group` shows Ann and Ben, the others one of them."""
    contents = {
        "group": photo(ONE, TWO),
        "ann": photo(ONE, person=1),
        "ben": photo(TWO, person=2),
        "blurred": photo(ONE, person=1, blur=1.2),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.png").write_bytes(content)
    return {name: tmp_path / f"{name}.png" for name in contents}


def run(*arguments: str | Path) -> Result:
    """In this process: to start one takes longer than the call."""
    return CliRunner().invoke(main, [str(each) for each in arguments])


def at(face: object) -> str:
    return ",".join(f"{share:.4f}" for share in shares(face))  # type: ignore[arg-type]


class TestVerify:
    def test_a_group_is_refused_unless_said_otherwise(
        self, address: str, pictures: dict[str, Path]
    ) -> None:
        group, ann, ben = pictures["group"], pictures["ann"], pictures["ben"]
        for option in ((), ("--multi-face", "reject")):
            finished = run("verify", group, ann, *option, "--server", address)
            assert finished.exit_code == 2
            assert "shows 2 faces" in finished.stderr
        largest = ("--multi-face", "largest", "--threshold", "0.9", "--server", address)
        assert run("verify", group, ann, *largest).exit_code == 0
        assert run("verify", group, ben, *largest).exit_code == 1

    def test_a_target_says_which_face_of_either_picture(
        self, address: str, pictures: dict[str, Path]
    ) -> None:
        group, ann, ben = pictures["group"], pictures["ann"], pictures["ben"]
        told = ("--threshold", "0.9", "--server", address)
        second = run("verify", group, ben, "--target-a", at(TWO), *told)
        assert second.exit_code == 0, second.stderr
        assert run("verify", group, ann, "--target-a", at(TWO), *told).exit_code == 1
        both = ("--target-a", at(ONE), "--target-b", at(TWO))
        assert run("verify", group, group, *both, *told).exit_code == 1
        same = ("--target-a", at(TWO), "--target-b", at(TWO))
        assert run("verify", group, group, *same, *told).exit_code == 0

    def test_what_is_near_a_limit_is_told_beside_the_answer(
        self, address: str, pictures: dict[str, Path]
    ) -> None:
        blurred, ann = pictures["blurred"], pictures["ann"]
        finished = run("verify", ann, blurred, "--threshold", "0.1", "--server", address)
        assert finished.stderr == f"note: {blurred} is near its limit: LOW_SHARPNESS\n"
        printed = run("verify", ann, blurred, "--json", "--server", address)
        assert printed.stderr == ""
        assert json.loads(printed.stdout)["quality"][1]["warnings"]


class TestIdentify:
    def test_every_face_is_searched_for_unless_said_otherwise(
        self, address: str, pictures: dict[str, Path]
    ) -> None:
        def faces(*option: str) -> list[str]:
            told = ("--gallery", "people", "--threshold", "0.9", "--json", "--server", address)
            finished = run("identify", pictures["group"], *told, *option)
            assert finished.exit_code == 0, finished.stderr
            found = json.loads(finished.stdout)["faces"]
            return [face["candidates"][0]["subject_id"] for face in found]

        assert faces() == faces("--multi-face", "all") == ["ann", "ben"]
        assert faces("--multi-face", "largest") == ["ann"]
        assert faces("--target", at(TWO)) == ["ben"]

    def test_a_group_is_refused_on_demand(self, address: str, pictures: dict[str, Path]) -> None:
        told = ("--gallery", "people", "--multi-face", "reject", "--server", address)
        finished = run("identify", pictures["group"], *told)
        assert finished.exit_code == 2
        assert "shows 2 faces" in finished.stderr

    def test_what_is_near_a_limit_stands_beside_the_face(
        self, address: str, pictures: dict[str, Path]
    ) -> None:
        told = ("--gallery", "people", "--threshold", "0.1", "--server", address)
        finished = run("identify", pictures["blurred"], *told)
        assert ", near its limit: LOW_SHARPNESS" in finished.stdout


@pytest.mark.parametrize("target", ["0.1,0.2", "a,b,c,d", "", "0,0,1,1,1"])
def test_a_target_that_is_none_is_refused_with_an_example(
    target: str, pictures: dict[str, Path]
) -> None:
    ann = pictures["ann"]
    for command in (
        ("verify", ann, ann, "--target-a", target),
        ("identify", ann, "--gallery", "people", "--target", target),
    ):
        finished = run(*command)
        assert finished.exit_code == 2
        assert "in shares of the picture, as 0.5,0.1,0.2,0.3" in finished.stderr


def test_a_target_without_an_extent_is_refused_by_the_server(
    address: str, pictures: dict[str, Path]
) -> None:
    ann = pictures["ann"]
    finished = run("verify", ann, ann, "--target-b", "0.5,0.5,0,0", "--server", address)
    assert finished.exit_code == 2
    assert "the last two more than 0" in finished.stderr
