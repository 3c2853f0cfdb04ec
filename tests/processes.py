"""The real commands as real processes."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def executable(name: str) -> str:
    """A command of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


def run(*command: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run one of our commands to its end."""
    program, *arguments = map(str, command)
    return subprocess.run(
        [executable(program), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class ServerProcess:
    """`mien serve` on a free loopback port."""

    def __init__(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: IO[str] | int = subprocess.PIPE,
    ) -> None:
        """`log` is where stderr goes; a pipe that nobody reads holds a server that logs much."""
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=env, cwd=cwd
        )
        assert self.process.stdout
        self.first_line = self.process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:\d+", self.first_line)
        if not found:
            raise AssertionError(self.process.communicate(timeout=10))
        self.address = found[0]

    def terminate(self) -> tuple[int, str]:
        """SIGTERM; returns the exit status and what it wrote to stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=20)


@contextmanager
def serving(
    bundle: Path, data: Path, *more: str, log: IO[str] | int = subprocess.PIPE
) -> Iterator[ServerProcess]:
    command = ("serve", str(bundle), "--data", str(data), "--address", "127.0.0.1:0", *more)
    server = ServerProcess(executable("mien"), *command, log=log)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.terminate()
