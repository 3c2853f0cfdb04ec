"""The proof that something is gone, in a process of its own: `mien.gallery.prove` says why.

What is looked for goes there by its standard input, so that no list of processes shows it.
"""

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from mien.errors import FailedPrecondition, InvalidRequest, MienError, StoreInvalid, of_reason
from mien.gallery.prove import Proof, Trace, prove
from mien.matching.metrics import Vectors

ATTEMPTS = 5
"""A file that goes meanwhile may have become one that was read before: then all are read again."""

POLL_SECONDS = 0.2


def prove_elsewhere(
    data: Path,
    vector: Vectors | None = None,
    content_sha256: str = "",
    text: str = "",
    alive: Callable[[], None] = lambda: None,
) -> Proof:
    """As `prove`, beside galleries that are open. `alive` is called now and then, and may raise.

    Raises InvalidRequest, and StoreInvalid if a file cannot be read: that proves nothing.
    """
    command = [sys.executable, "-P", "-m", "mien.gallery.proving"]
    with subprocess.Popen(  # noqa: S603 - our own
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            output = _answer(process, _question(data, vector, content_sha256, text), alive)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise StoreInvalid(f"the search of {data} failed with status {process.returncode}")
    return _proof(json.loads(output))


def main() -> None:
    """Read what to look for, and print where it is or why that cannot be said, as JSON."""
    asked = json.load(sys.stdin)
    vector = base64.b64decode(asked["vector"])
    try:
        proof = _settled(
            Path(asked["data"]),
            np.frombuffer(vector, "<f4") if vector else None,
            asked["content_sha256"],
            asked["text"],
        )
        print(json.dumps(asdict(proof)))
    except MienError as error:
        print(json.dumps({"reason": error.reason, "message": str(error)}))
    except OSError as error:
        message = f"{error}; what cannot be read proves nothing"
        print(json.dumps({"reason": StoreInvalid.reason, "message": message}))


def _settled(data: Path, vector: Vectors | None, content_sha256: str, text: str) -> Proof:
    for _ in range(ATTEMPTS - 1):
        try:
            return prove(data, vector, content_sha256, text)
        except FileNotFoundError:
            if not data.exists():
                raise
    return prove(data, vector, content_sha256, text)


def _question(data: Path, vector: Vectors | None, content_sha256: str, text: str) -> str:
    content = b"" if vector is None else vector.astype("<f4").tobytes()
    return json.dumps(
        {
            "data": str(data),
            "vector": base64.b64encode(content).decode(),
            "content_sha256": content_sha256,
            "text": text,
        }
    )


def _answer(process: "subprocess.Popen[str]", question: str, alive: Callable[[], None]) -> str:
    """A thread tells the question: `communicate`, when its time is up, forgets what is not sent."""
    stdin, process.stdin = process.stdin, None
    threading.Thread(target=_tell, args=(stdin, question), daemon=True).start()
    while True:
        try:
            output, _ = process.communicate(timeout=POLL_SECONDS)
            return output
        except subprocess.TimeoutExpired:
            alive()


def _tell(stdin: IO[str], question: str) -> None:
    with suppress(BrokenPipeError), stdin:  # it was killed: nobody asks any more
        stdin.write(question)


def _proof(answer: dict[str, Any]) -> Proof:
    if "reason" in answer:
        kind = of_reason(answer["reason"])
        raise (kind if issubclass(kind, InvalidRequest | FailedPrecondition) else StoreInvalid)(
            answer["message"]
        )
    traces = tuple(Trace(**trace) for trace in answer["traces"])
    return Proof(traces, answer["files"], answer["bytes"])


if __name__ == "__main__":
    main()
