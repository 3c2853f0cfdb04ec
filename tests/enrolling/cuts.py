"""A network that is cut at random."""

import contextlib
import random
import socket
import threading
from collections.abc import Iterator


class Cuts:
    """Passes connections on to a server, and cuts each after so many bytes, at random."""

    def __init__(self, target: str, seed: int, most: int) -> None:
        host, _, port = target.rpartition(":")
        self.target = (host, int(port))
        self.cuts = 0
        self.calm = False
        self._dice, self._most = random.Random(seed), most  # noqa: S311 - no secret
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self.target)
                left = [self._dice.randint(1, self._most)]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(
                        target=self._pass, args=(one, other, left), daemon=True
                    ).start()

    def _pass(self, one: socket.socket, other: socket.socket, left: list[int]) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(4096):
                left[0] -= len(content)
                if left[0] < 0 and not self.calm:
                    self.cuts += 1
                    break
                other.sendall(content)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def cutting(target: str, seed: int, most: int) -> Iterator[Cuts]:
    cuts = Cuts(target, seed, most)
    try:
        yield cuts
    finally:
        cuts.close()
