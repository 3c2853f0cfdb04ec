"""Ids of galleries and subjects, and which known one was probably meant."""

import difflib
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
