"""Names of people in any script to ids of subjects."""

import hashlib
import re
import unicodedata

from mien.gallery.about import MAX_TEXT
from mien.gallery.ids import PATTERN

DIGITS = 32
"""Hexadecimal, of the name's SHA-256: 128 bits, so that among 10⁹ names two meet with a chance of
10⁻²¹ (the birthday bound)."""

_READABLE = 64
_MAPPED = re.compile(rf".*-u[0-9a-f]{{{DIGITS}}}")
_OTHER = re.compile(r"[^A-Za-z0-9_.-]+")


def subject_id(name: str) -> str:
    """The id of whoever has this name: the name itself where it may be an id.

    Any other name becomes what of it can be read in ASCII, and a digest of the whole. The same name
    has the same id everywhere, also when its accents are composed otherwise, and two names never
    have one id: a name that looks like such an id is mapped, too.
    """
    name = unicodedata.normalize("NFC", name)
    if PATTERN.fullmatch(name) and not _MAPPED.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    readable = _OTHER.sub("-", plain).strip("-._")[:_READABLE]
    return f"{readable or 'subject'}-u{digest[:DIGITS]}"


def display_name(name: str) -> str:
    """What is kept of a name that is not the id itself; empty where it is."""
    return "" if subject_id(name) == name else shown(unicodedata.normalize("NFC", name))


def shown(text: str) -> str:
    """As it may be printed and kept: bytes that are no UTF-8, and NUL, become question marks."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")[:MAX_TEXT]
