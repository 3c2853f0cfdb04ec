"""Many readers or one writer."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mien.gallery.index.readers_writer import ReadersWriterLock

SOON = 0.05


@contextmanager
def running(*targets: Callable[[], None]) -> Iterator[list[threading.Thread]]:
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    yield threads
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_readers_are_in_together() -> None:
    lock, meeting = ReadersWriterLock(), threading.Barrier(3)

    def read() -> None:
        with lock.reading():
            meeting.wait(10)

    with running(read, read, read):
        pass
    assert not meeting.broken


def test_a_writer_waits_for_readers_and_later_readers_for_the_writer() -> None:
    lock, order = ReadersWriterLock(), list[str]()

    def write() -> None:
        with lock.writing():
            order.append("written")

    def read() -> None:
        with lock.reading():
            order.append("read")

    with running() as _:
        with lock.reading():
            writer = threading.Thread(target=write)
            writer.start()
            while not lock._waiting:
                time.sleep(0.001)
            reader = threading.Thread(target=read)
            reader.start()
            time.sleep(SOON)
            assert order == []
        writer.join(10)
        reader.join(10)
    assert order == ["written", "read"]


def test_readers_and_writers_never_meet() -> None:
    lock, inside, met = ReadersWriterLock(), list[str](), list[str]()

    def write() -> None:
        for _ in range(200):
            with lock.writing():
                inside.append("writer")
                met.extend(inside[:-1])
                time.sleep(0)
                inside.remove("writer")

    def read() -> None:
        for _ in range(200):
            with lock.reading():
                inside.append("reader")
                met.extend(each for each in inside if each == "writer")
                time.sleep(0)
                inside.remove("reader")

    with running(write, write, read, read, read):
        pass
    assert met == []


def test_what_fails_inside_lets_go() -> None:
    lock = ReadersWriterLock()
    with pytest.raises(ZeroDivisionError), lock.reading():
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), lock.writing():
        raise ZeroDivisionError
    with lock.writing():
        pass
