"""`kill -9` in the middle of changes."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from mien.errors import SubjectNotFound
from mien.gallery.galleries import Galleries
from tests.gallery.history import People, people_after, subject
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store

KILLS = 5


def change_until_killed(data: Path, first: int, seconds: float) -> int:
    """Kill a child so long after its first acknowledgement; return how many were made in all."""
    command = [sys.executable, "-m", "tests.gallery.history", str(data), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = [child.stdout.readline()]
        time.sleep(seconds)
        child.kill()
        acknowledged += child.stdout.readlines()
    # The pipe may end in the middle of a line; such a change was not acknowledged.
    return 1 + int([line for line in acknowledged if line.endswith("\n")][-1])


def people_of(galleries: Galleries) -> People:
    people = {}
    for number in range(13):
        try:
            people[subject(number)] = list(galleries.vectors("staff", subject(number), MODEL))
        except SubjectNotFound:
            continue
    return people


def same(a: People, b: People) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[each], b[each]) for each in a)


def test_what_was_acknowledged_survives_a_kill_and_nothing_is_half_there(data: Path) -> None:
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
    made, dice = 0, np.random.default_rng(0)
    for _ in range(KILLS):
        acknowledged = change_until_killed(data, made, seconds=dice.uniform(0.02, 0.3))
        with Galleries(data) as galleries:
            people = people_of(galleries)
            # The change under way when it was killed is there wholly or not at all.
            outcomes = [acknowledged, acknowledged + 1]
            made = next(each for each in outcomes if same(people, people_after(each)))
            assert_index_equals_store(galleries, list(people))
    assert made > KILLS
