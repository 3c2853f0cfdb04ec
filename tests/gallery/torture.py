"""`kill -9` again and again at random moments, and a look at everything after each.

`python -m tests.gallery.torture --kills 200 --seed 1` in a folder that it makes; `make torture`.

A child process (`tests.gallery.nursery`) works on a data directory and logs what it begins and
what was acknowledged. It is killed in the midst of an operation of a chosen kind, and often its
successor while that starts and recovers. Then, without anybody having repaired anything:

- what was acknowledged is there, and the operation under way wholly or not at all, sample by sample
  and byte by byte; expiry is several transactions, each wholly or not at all;
- every search finds what a scan of what should be there finds, and store, index and file agree;
- a snapshot that has its name can be restored, to what the gallery was;
- a request that is repeated under its id has its first answer, and changes nothing;
- what is deleted is in no file, even before anybody has opened the directory again.
"""

import argparse
import json
import os
import pickle
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mien.gallery.galleries import Galleries
from mien.gallery.integrity import check_file
from mien.gallery.prove import prove_absent
from tests.gallery.operations import DeleteSamples, Operation, Reopen, Restore, Snapshot, written
from tests.gallery.plans import KINDS, Plan, Planner
from tests.gallery.world import (
    World,
    assert_as_expected,
    content,
    look,
    portrait_of,
    portrait_seen,
)

AGAIN = 0.4
"""How often the child that comes after a killed one is killed, too, while it starts."""

BEYOND = 1.2
"""Moments of killing are drawn up to so many times as long as an operation took before."""

PROVED = 3
"""So many of the samples that a round deleted are looked for in all files, and one of before."""

SNAPSHOTS_KEPT = 3


class Nursery:
    """Starts children and hears from them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gallery.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def kill_one(self, data: Path, plan: Path, log: Path, bell: str, after: float) -> None:
        """Start a child and kill it so many seconds after it rang the bell."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(data), str(plan), str(log)]) + "\n")
        self._process.stdin.flush()
        child, heard = 0, False
        while not (child and heard):  # the child may be heard before it is announced
            what = self._next()
            child = int(what.split()[1]) if what.startswith("born") else child
            heard = heard or what == bell
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        while not (what := self._next()).startswith("dead"):
            pass
        assert what == f"dead {-signal.SIGKILL}"

    def _next(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert not line.startswith("dead") or line == f"dead {-signal.SIGKILL}\n", "a child failed"
        assert line, "the nursery has ended"
        return line.rstrip("\n")

    def close(self) -> None:
        self._process.communicate()


@dataclass
class Life:
    """What a child has done, by its log; of what was acknowledged the answer, and what it told."""

    opened: bool = False
    acknowledged: list[tuple[Operation, str, str]] = field(default_factory=list)
    under_way: Operation | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, log: Path, plan: Plan) -> "Life":
        life, before = cls(), 0.0
        whole = [line for line in log.read_bytes().splitlines(True) if line.endswith(b"\n")]
        for line in whole:
            what, number, moment, more = json.loads(line)
            if what == "open":
                life.opened = True
                life.seconds["start"] = moment - before
            elif what == "intent":
                life.under_way = plan.operations[number]
                if isinstance(life.under_way, DeleteSamples):
                    life.under_way = replace(life.under_way, sample_ids=tuple(more))
            elif what == "ack":
                assert life.under_way is not None
                life.acknowledged.append((life.under_way, *more))
                life.seconds[life.under_way.kind] = moment - before
                life.under_way = None
            before = moment
        return life

    @property
    def at(self) -> str:
        """Where it was killed."""
        if not self.opened:
            return "start"
        return self.under_way.kind if self.under_way else "between"


class Torture:
    """A data directory under torture, and what should be in it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._data, self._snapshots = folder / "data", folder / "snapshots"
        self._plan, self._log, self._scratch = folder / "plan", folder / "log", folder / "scratch"
        self._snapshots.mkdir()
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self._planner = Planner(self._dice, self._data, self._snapshots)
        self.world = World()
        self.ever: set[int] = set()
        self._gone: set[int] = set()
        self._seconds = dict.fromkeys([*KINDS, "start"], 0.005)
        self._kinds: list[str] = []
        self._nursery = Nursery()
        self.killed: Counter[str] = Counter()
        self.rounds = self.proved = 0

    def __enter__(self) -> "Torture":
        return self

    def __exit__(self, *_: object) -> None:
        self._nursery.close()

    def run(self, kills: int) -> None:
        """Until so many children were killed; AssertionError at the first thing that is wrong."""
        while self.killed.total() < kills:
            self.round()

    def round(self) -> None:
        """Kill in an operation, perhaps while starting, look at everything, and settle."""
        if not self._kinds:
            self._kinds = self._dice.sample(list(KINDS), len(KINDS))
        kind = self._kinds.pop()
        plan = self._planner.plan(self.world, kind)
        life = self._kill(plan, f"intent {plan.target}", kind)
        while self._dice.random() < AGAIN:
            self._kill(Plan([], 0), "hello 0", "start")
        for operation, _, told in life.acknowledged:
            assert written(operation.apply(self.world)) == told, f"{operation} was answered {told}"
            self.ever |= self.world.numbers
        may_be = [self.world, *(life.under_way.outcomes(self.world) if life.under_way else [])]
        self.rounds += 1
        self.prove(may_be)
        self._settle(life, may_be)
        self.ever |= self.world.numbers
        self._forget_old_snapshots()

    def _kill(self, plan: Plan, bell: str, kind: str) -> Life:
        self._plan.write_bytes(pickle.dumps(plan.operations))
        after = self._dice.uniform(0, BEYOND * self._seconds[kind])
        self._nursery.kill_one(self._data, self._plan, self._log, bell, after)
        life = Life.of(self._log, plan)
        for each, seconds in life.seconds.items():
            self._seconds[each] += (seconds - self._seconds[each]) / 4
        self.killed[life.at] += 1
        return life

    def _settle(self, life: Life, may_be: list[World]) -> None:
        """Find out which of these is the world now, and bring it to the last of them."""
        before = may_be[0]
        with Galleries(self._data) as galleries:
            seen = portrait_seen(galleries, self._snapshots)
            now = next((each for each in may_be if portrait_of(each) == seen), None)
            assert now is not None, f"half of {life.under_way} is there, or what came before is not"
            assert_as_expected(galleries, now, self._snapshots)
            self._assert_snapshot(life.under_way, now)
            if now is before or not (life.under_way and life.under_way.removes):
                self._ask_again(galleries, life)
            if life.under_way:
                self._finish(galleries, life.under_way, before, applied=now is may_be[-1])
            assert_as_expected(galleries, may_be[-1], self._snapshots)
        (file,) = self._data.glob("*.sqlite3")
        assert check_file(file).findings == ()
        self.world = may_be[-1]

    def _ask_again(self, galleries: Galleries, life: Life) -> None:
        """What was acknowledged is answered as it was, back to the last that removed something."""
        for operation, answer, _ in reversed(life.acknowledged):
            if operation.request_id:
                assert written(operation.run(galleries)) == answer, operation
            if operation.removes:
                break

    def _finish(
        self, galleries: Galleries, operation: Operation, before: World, applied: bool
    ) -> None:
        """Do again what was under way: once in all, if it has a request id."""
        if isinstance(operation, Reopen):
            return
        with self._refusal(operation, applied):
            answer = operation.run(galleries)
            if operation.request_id:
                assert operation.told(answer) == operation.apply(before.copy())
                assert written(operation.run(galleries)) == written(answer)

    @contextmanager
    def _refusal(self, operation: Operation, applied: bool) -> Iterator[None]:
        """An operation that was carried out and has no request id says that it was."""
        if not (applied and operation.again):
            yield
            return
        try:
            yield
        except operation.again:
            return
        raise AssertionError(f"{operation} was carried out twice")

    def _assert_snapshot(self, operation: Operation | None, now: World) -> None:
        """If it was being taken and has its name, it is all that it should be."""
        if not isinstance(operation, Snapshot) or operation.target.name not in now.snapshots:
            return
        world = World(snapshots=now.snapshots)
        restore = Restore(gallery_id="copy", source=operation.target)
        with tempfile.TemporaryDirectory() as scratch, Galleries(Path(scratch)) as galleries:
            assert restore.told(restore.run(galleries)) == restore.apply(world)
            assert_as_expected(galleries, world, self._snapshots)

    def prove(self, may_be: list[World]) -> None:
        """Some of who was deleted is nowhere, and that is because the search finds who is there."""
        there = may_be[0].numbers.union(*(each.numbers for each in may_be))
        gone = self.ever - there
        before, just_now = sorted(gone & self._gone), sorted(gone - self._gone)
        self._gone = gone
        some = self._dice.sample(just_now, min(PROVED, len(just_now)))
        for number in [*some, *self._dice.sample(before, min(1, len(before)))]:
            traces = prove_absent(self._data, look(number), content(number))
            assert not traces, traces
            self.proved += 1
        for number in sorted(set.intersection(*(each.numbers for each in may_be)))[:1]:
            assert prove_absent(self._data, look(number), content(number))

    def _forget_old_snapshots(self) -> None:
        for name in list(self.world.snapshots)[:-SNAPSHOTS_KEPT]:
            del self.world.snapshots[name]
            (self._snapshots / name).unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description="kill -9 on galleries, again and again")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="mien-torture-") as folder,
        Torture(Path(folder), arguments.seed) as torture,
    ):
        torture.run(arguments.kills)
    places = ", ".join(f"{count} in {place}" for place, count in torture.killed.most_common())
    print(f"{torture.killed.total()} kills in {time.monotonic() - began:.0f} s: {places}")
    print(f"{torture.rounds} rounds looked at, {torture.proved} deleted samples proved absent")
    print("nothing acknowledged was lost, nothing was half there")


if __name__ == "__main__":
    main()
