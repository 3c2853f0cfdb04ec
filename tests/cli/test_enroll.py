"""`mien enroll` as a person types it."""

import contextlib
import errno
import json
import os
import pty
import re
import subprocess
import termios
from pathlib import Path

import pytest
from click.testing import CliRunner

from mien.cli.enroll import enroll
from mien.enrolling import report
from mien.model.bundle import Bundle
from tests.enrolling.made import FMR, mixed
from tests.faces import encoded, folder_of_people
from tests.processes import executable, run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def into(bundle: Bundle, tmp_path: Path) -> list[str]:
    return ["--gallery", "staff", "--data", str(tmp_path / "data"), "--bundle", str(bundle.folder)]


def test_a_data_directory_needs_no_server(into: list[str], tmp_path: Path) -> None:
    source, out = mixed(tmp_path / "people"), tmp_path / "out" / "report.jsonl"
    first = run("mien", "enroll", source, *into, "--create", "--report", out)
    assert first.returncode == 1
    assert first.stdout == (
        "enrolled 26 pictures of 6 subjects, 0 known already, 1 refused, 1 twice in the source, "
        "1 other files; staff has 6 subjects, 26 samples\n"
    )
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(lines) == 29
    assert {line["outcome"] for line in lines} == {
        "enrolled",
        "refused",
        "duplicate",
        "passed_over",
    }
    assert "<h1>people into staff</h1>" in (out.parent / "report.html").read_text("utf-8")
    (source / "person-1" / "broken.jpg").unlink()
    again = run("mien", "enroll", source, *into)
    assert again.returncode == 0
    assert "enrolled 0 pictures of 6 subjects, 26 known already" in again.stdout


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("report.html", "is where the page beside a report goes"),
        ("taken.jsonl", "no report can be written to .*taken.html"),
        ("file/report.jsonl", "no report can be written to .*name another file with --report"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_done(
    into: list[str], tmp_path: Path, name: str, why: str
) -> None:
    source = folder_of_people(tmp_path / "people", 1, 1)
    (tmp_path / "taken.html").mkdir()
    (tmp_path / "file").touch()
    done = run("mien", "enroll", source, *into, "--create", "--report", tmp_path / name)
    assert done.returncode == 2
    assert re.search(why, done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_a_disk_that_is_full_at_the_report_hides_nothing_of_what_was_done(
    into: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of_people(tmp_path / "people", 1, 2)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "r.jsonl"))

    monkeypatch.setattr(report, "write", full)
    told = [str(source), *into, "--create", "--report", str(tmp_path / "r.jsonl")]
    done = CliRunner().invoke(enroll, [*told, "--ledger", str(tmp_path / "ledger")])
    assert done.exit_code == 2
    assert "the report cannot be written: [Errno 28] No space left on device" in done.stderr
    assert "enrolled 2 pictures of 1 subjects" in done.stdout


def test_a_plan_and_a_validation_write_nothing(into: list[str], tmp_path: Path) -> None:
    source = folder_of_people(tmp_path / "people", 2, 2)
    run("mien", "enroll", source, *into, "--create")
    (source / "person-0" / "0.png").unlink()
    (source / "person-0" / "new.png").write_bytes(encoded(0, 7))
    planned = run("mien", "enroll", source, *into, "--plan", "--sync")
    assert planned.returncode == 0
    assert (
        planned.stdout
        == "1 pictures to be added, 3 known already, 1 to be removed; of 2 subjects\n"
    )
    tried = run("mien", "enroll", source, *into, "--validate-only")
    assert tried.stdout.startswith("would enrol 1 pictures of 2 subjects, 3 known already; staff")
    assert "4 samples" in tried.stdout
    done = run("mien", "enroll", source, *into, "--sync")
    assert done.stdout == (
        "enrolled 1 pictures of 2 subjects, 3 known already, 1 removed; staff has 2 subjects, "
        "4 samples\n"
    )


def test_a_folder_a_level_too_high_is_doubted(into: list[str], tmp_path: Path) -> None:
    source = folder_of_people(tmp_path / "all" / "people", 3, 2)
    run("mien", "enroll", source, *into, "--create")
    planned = run("mien", "enroll", source.parent, *into, "--plan")
    assert planned.stdout == "6 pictures to be added, 0 known already; of 1 subjects\n"
    assert planned.stderr == (
        "note: all pictures are taken for one person's, people; if the folders in it are the "
        f"people, name {source}\n"
    )


def test_policies_are_of_the_command(into: list[str], tmp_path: Path) -> None:
    source = mixed(tmp_path / "people")
    policies = [f"--{name}=refuse" for name in ("duplicates", "other-subject", "misfits")]
    finished = run("mien", "enroll", source, *into, "--create", *policies, "--fmr", str(FMR))
    assert finished.returncode == 1
    for reason in ("DUPLICATE_PICTURE", "SAME_PICTURE_OTHER_SUBJECT", "MISFIT"):
        assert f": {reason}: " in finished.stderr


def test_what_fails_ends_with_2(into: list[str], tmp_path: Path) -> None:
    source = folder_of_people(tmp_path / "people", 1, 1)
    missing = run("mien", "enroll", source, *into)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "is no data directory" in missing.stderr
    strict = run("mien", "enroll", source, *into, "--create", "--misfits", "refuse",
                 "--fmr", "0.0001")  # fmt: skip
    assert strict.returncode == 2
    assert "calibration of 40 people supports" in strict.stderr
    away = run("mien", "enroll", source, "--gallery", "g", "--server", "127.0.0.1:1")
    assert (away.returncode, "no answer from" in away.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bundle", "."], "--bundle is for --data"),
        (["--data", "d", "--bundle", ".", "--server", "x:1"], "exclude each other"),
        (["--detector-model", "x"], "--detector-model is for --data"),
        (["--plan", "--validate-only"], "exclude each other"),
        (["--plan", "--create"], "--create changes something"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, options: list[str], message: str) -> None:
    finished = run("mien", "enroll", tmp_path, "--gallery", "g", *options)
    assert finished.returncode == 2
    assert message in finished.stderr


def test_progress_is_shown_on_a_terminal_alone(into: list[str], tmp_path: Path) -> None:
    source = folder_of_people(tmp_path / "people", 3, 2)
    quiet = run("mien", "enroll", source, *into, "--create")
    assert "picture/s" not in quiet.stderr
    mine, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    command = [executable("mien"), "enroll", str(source), *into, "--afresh"]
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: there is no more, and nobody has the other end
        while part := os.read(mine, 4096):
            shown += part
    os.close(mine)
    assert finished.stdout.startswith(b"enrolled 0 pictures of 3 subjects, 6 known")
    assert re.search(rb"6/6 .*picture/s", shown)


def test_every_option_is_documented() -> None:
    text = (ROOT / "docs" / "enrolling.md").read_text("utf-8")
    for parameter in enroll.params:
        for option in parameter.opts if parameter.expose_value else ():  # else of the connection
            if option.startswith("--") and option != "--server":
                assert f"`{option}" in text, option
