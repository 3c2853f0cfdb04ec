"""Ids of galleries, subjects and samples, and which known one was probably meant."""

import difflib
import os
import re
from collections.abc import Iterable

from mien.errors import InvalidId

PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""As in proto/mien/v1/gallery.proto. For `fullmatch`: a `$` would let a newline pass."""


def check_id(noun: str, value: str) -> None:
    """Raise InvalidId unless `value` may name a gallery or a subject; `noun` says which it is."""
    if not PATTERN.fullmatch(value):
        raise InvalidId(
            f"{noun} id {value[:140]!r} is not accepted; use 1 to 128 letters, digits, '_', '.' "
            "and '-' of ASCII, beginning with a letter or a digit"
        )


def suggestion(value: str, known: Iterable[str]) -> str:
    """'; did you mean ...?' with the nearest of `known`, or '' if none is near."""
    nearest = difflib.get_close_matches(value, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def new_sample_ids(count: int, now: int) -> list[str]:
    """Ids in hexadecimal: UUIDs of version 7 (RFC 9562) of `now`, in microseconds since 1970.

    They begin with the time, so that new ones are neighbours in the database's index: with wholly
    random ones each sample of a batch would touch a page of its own.
    """
    time = (now // 1000).to_bytes(6, "big").hex()
    random = os.urandom(10 * count).hex()
    parts = (random[start : start + 20] for start in range(0, 20 * count, 20))
    return [f"{time}7{part[:3]}{VARIANT[part[3]]}{part[4:19]}" for part in parts]


VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The two highest bits of a UUID's variant are 10."""
