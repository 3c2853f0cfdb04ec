"""Room for pictures that are decoded at the same time."""

import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from struct import pack

import pytest
from PIL import Image

from mien import deadline
from mien.deadline import Deadline
from mien.errors import CallerGone, DeadlineExceeded
from mien.vision import images
from mien.vision.images import RGB, Limits, decode
from mien.vision.room import Room


def wide_png(side: int) -> bytes:
    """A picture of side × side pixels in few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    rows = zlib.compress(bytes(side * (side // 8 + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_large_pictures_are_decoded_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    room, now, most = Room(most=5_000_000, small=1_000_000), 0, 0
    limits, content, lock = Limits(room=room), wide_png(2000), threading.Lock()

    def rgb(picture: Image.Image) -> RGB:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        decoded = inner(picture)
        with lock:
            now -= 1
        return decoded

    inner = images._rgb
    monkeypatch.setattr(images, "_rgb", rgb)
    assert len(content) < 5000
    with ThreadPoolExecutor(4) as callers:
        shapes = {each.shape for each in callers.map(lambda _: decode(content, limits), range(8))}
    assert (most, shapes) == (1, {(2000, 2000, 3)})


def test_limits_of_the_same_sizes_are_the_same() -> None:
    assert Limits() == Limits()
    assert Limits(1) != Limits(2)


def test_never_are_more_pixels_taken_than_there_is_room_for() -> None:
    room, lock = Room(most=10, small=1), threading.Lock()
    now = most = 0

    def work(pixels: int) -> None:
        nonlocal now, most
        with room.taken(pixels):
            with lock:
                now += pixels
                most = max(most, now)
            time.sleep(0.002)
            with lock:
                now -= pixels

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(work, [3, 4, 5, 2] * 20))
    assert 5 < most <= 10
    assert now == room._taken == 0


def test_one_alone_may_be_of_any_size_and_small_ones_wait_for_nobody() -> None:
    room = Room(most=10, small=3)
    with room.taken(1000), room.taken(3), room.taken(3):
        assert room._taken == 1000


def test_who_nobody_waits_for_waits_no_longer() -> None:
    room = Room(most=10, small=1)
    late = Deadline(time.monotonic() + 0.15)
    with room.taken(10):
        with deadline.kept(late), pytest.raises(DeadlineExceeded), room.taken(5):
            pass
        gone = Deadline(gone=lambda: True)
        with deadline.kept(gone), pytest.raises(CallerGone), room.taken(5):
            pass
    with room.taken(5):
        assert room._taken == 5


def test_room_is_free_again_after_an_error() -> None:
    room = Room(most=10, small=1)
    with pytest.raises(ZeroDivisionError), room.taken(10):
        raise ZeroDivisionError
    assert room._taken == 0
