"""Killed anywhere and run again, the gallery is the same as without the kill.

`make test` kills a few times; `make kills` at least fifty times each.
"""

import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from mien.client import Client
from mien.enrolling.ledger import Row
from mien.enrolling.options import Options
from mien.model.bundle import Bundle
from tests.enrolling import killed
from tests.enrolling.cuts import cutting
from tests.enrolling.made import FMR, GALLERY, Enrolling, altered, held, mixed, outcomes
from tests.processes import ServerProcess, executable, serving

LONG = os.environ.get("LONG_KILLS")
"""Not named as a setting: `mien serve` refuses variables that it does not know."""
KILLS = int(LONG or "8")
BREAKS = int(LONG or "2")
"""Of a server and of a network: to start a server again takes seconds."""
BREAKS_A_RUN = 6
REPORTING = Options(fmr=FMR, sync=True)
REFUSING = Options(
    duplicates="refuse", other_subject="refuse", misfits="refuse", fmr=FMR, sync=True
)
PEOPLE, SHOTS = 24, 6

pytestmark = pytest.mark.timeout(300 + 40 * KILLS)


def killed_once(dice: random.Random, longest: float, *what: object) -> bool:
    """Whether it was killed before its end."""
    preloaded = multiprocessing.get_context("forkserver")
    preloaded.set_forkserver_preload(["tests.enrolling.killed"])
    process = preloaded.Process(target=killed.enrol, args=what)
    process.start()
    process.join(dice.uniform(0, longest))
    process.kill()  # SIGKILL; a process that has ended is left alone
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def kept(rows: list[Row]) -> dict[str, str]:
    """Whether this run or one before enrolled it is no difference, nor which one removed it."""
    return {
        key: {"known": "enrolled"}.get(what, what)
        for key, what in outcomes(rows).items()
        if what != "NOT_IN_SOURCE"
    }


@pytest.mark.parametrize(
    "options", [Options(fmr=FMR, sync=True), REFUSING], ids=["report", "refuse"]
)
def test_into_a_data_directory(bundle: Bundle, tmp_path: Path, options: Options) -> None:
    """First a source, then the same source later, which others left and changed."""
    dice = random.Random(1)  # noqa: S311 - no secret
    source = mixed(tmp_path / "people", PEOPLE, SHOTS)
    calm, killed_often = (Enrolling(tmp_path / name, bundle) for name in ("calm", "killed"))
    kills = tries = 0
    for step in range(2):
        started = time.perf_counter()
        expected = calm.run(source, options)
        longest = 1.5 * (time.perf_counter() - started) + 0.3
        fresh = tmp_path / f"before-{step}"
        if killed_often.folder.exists():
            shutil.copytree(killed_often.folder, fresh)
        while kills < KILLS * (step + 1) / 2 and tries < 20 * KILLS:
            tries += 1
            what = (killed_often.folder, bundle.folder, source, options)
            if killed_once(dice, longest, *what):
                kills += 1
            else:  # it came to its end: begin again where it began
                found = killed_often.run(source, options)
                assert kept(found) == kept(expected)
                assert killed_often.held() == calm.held()
                shutil.rmtree(killed_often.folder)
                if fresh.exists():
                    shutil.copytree(fresh, killed_often.folder)
        found = killed_often.run(source, options)
        assert killed_often.held() == calm.held()
        assert kept(found) == kept(expected)
        if step == 0:
            altered(source)
    assert kills >= KILLS


def test_over_a_server_that_is_killed_and_started_again(bundle: Bundle, tmp_path: Path) -> None:
    """The command itself goes on: the server is away for seconds, several times a run."""
    dice = random.Random(2)  # noqa: S311 - no secret
    source = mixed(tmp_path / "people", 60, 8)
    calm = Enrolling(tmp_path / "calm", bundle)
    expected = calm.run(source)
    breaks = runs = 0
    while breaks < BREAKS:
        runs += 1
        enrolling = Enrolling(tmp_path / f"run-{runs}", bundle)
        rows, restarts = served_in_spite_of_kills(enrolling, source, dice)
        assert restarts >= 1
        breaks += restarts
        assert kept(rows) == kept(expected)
        assert enrolling.held() == calm.held()


def served_in_spite_of_kills(
    enrolling: Enrolling, source: Path, dice: random.Random
) -> tuple[list[Row], int]:
    """One run while its server is killed; and how often it was."""
    with serving(enrolling.bundle.folder, enrolling.data) as first:
        server, address = first, first.address
        with Client(address) as client:
            client.create_gallery(GALLERY)
        rows: list[Row] = []
        work = threading.Thread(target=lambda: rows.extend(enrolling.serve(address, source)))
        work.start()
        restarts = 0
        while work.is_alive() and restarts < min(BREAKS, BREAKS_A_RUN):
            work.join(dice.uniform(0.02, 0.2))
            if work.is_alive():
                server.kill()
                restarts += 1
                server = at(address, enrolling.bundle, enrolling.data)
        work.join()
        server.terminate()
    return rows, restarts


def at(address: str, bundle: Bundle, data: Path) -> ServerProcess:
    return ServerProcess(
        executable("mien"), "serve", str(bundle.folder), "--data", str(data), "--address", address
    )


def test_over_a_network_that_is_cut(bundle: Bundle, tmp_path: Path) -> None:
    source = mixed(tmp_path / "people", PEOPLE, SHOTS)
    calm = Enrolling(tmp_path / "calm", bundle)
    expected = calm.run(source)
    breaks = runs = 0
    while breaks < BREAKS:
        runs += 1
        enrolling = Enrolling(tmp_path / f"run-{runs}", bundle)
        with serving(bundle.folder, enrolling.data) as server:
            with Client(server.address) as client:
                client.create_gallery(GALLERY)
            with cutting(server.address, seed=runs, most=400_000) as network:
                rows = enrolling.serve(network.address, source)
                assert network.cuts >= 1
                breaks += network.cuts
        assert kept(rows) == kept(expected)
        assert enrolling.held() == calm.held()


def test_over_a_server_while_the_command_is_killed(bundle: Bundle, tmp_path: Path) -> None:
    dice = random.Random(4)  # noqa: S311 - no secret
    source = mixed(tmp_path / "people", PEOPLE, SHOTS)
    calm, enrolling = (Enrolling(tmp_path / name, bundle) for name in ("calm", "killed"))
    started = time.perf_counter()
    expected = calm.run(source)
    longest = time.perf_counter() - started  # once a run has ended, the next has little to do
    with serving(bundle.folder, enrolling.data) as server:
        with Client(server.address) as client:
            client.create_gallery(GALLERY)
        what = (enrolling.folder, bundle.folder, source, Options(), server.address)
        kills = 0
        for _ in range(4 * KILLS):
            kills += killed_once(dice, longest, *what)
            if kills == KILLS:
                break
        rows = enrolling.serve(server.address, source)
    assert kills == KILLS
    assert kept(rows) == kept(expected)
    assert held(enrolling.data) == calm.held()
