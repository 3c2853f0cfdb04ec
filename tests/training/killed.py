"""Runs to be killed, begun without waiting for torch to be imported.

`python -m tests.training.killed` imports it once. For each line that it reads (JSON: people,
recipe, run, where, and at which call of what the run kills itself) it starts a child that learns,
and says how that ended.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien_training import learner
from mien_training.fit import fit
from mien_training.loading import load_recipe


def killing(inner: Callable[..., Any], times: int) -> Callable[..., Any]:
    """The same, but the last of so many calls kills the process instead."""
    left = times

    def call(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*arguments)

    return call


def learn(folder: str, recipe: str, out: str, where: str, times: int) -> None:
    if where == "step":
        learner.Learner.step = killing(learner.Learner.step, times)  # type: ignore[method-assign]
    else:
        os.fsync = killing(os.fsync, times)
    fit(Path(folder), load_recipe(recipe), Path(out), resume=True)


def bear(*what: Any) -> int:
    """Start a child; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        learn(*what)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    for line in sys.stdin:
        _, status = os.waitpid(bear(*json.loads(line)), 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
