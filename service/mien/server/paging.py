"""How many of something a call may ask for, and where the next page begins."""

import base64
import binascii

from mien.errors import InvalidRequest

MAX_BATCH = 64
MAX_CANDIDATES, DEFAULT_CANDIDATES = 100, 5
MAX_PAGE, DEFAULT_PAGE = 1000, 100


def page_size(asked: int, default: int = DEFAULT_PAGE, largest: int = MAX_PAGE) -> int:
    """How many to send; 0 means the default. Raises InvalidRequest above the largest."""
    if asked > largest:
        raise InvalidRequest(f"{asked} is more than {largest} at once; ask for less")
    return asked or default


def write_token(last_id: str) -> str:
    """Of a page that ended with this id. Opaque to callers."""
    return base64.urlsafe_b64encode(last_id.encode()).decode()


def read_token(token: str) -> str:
    """The id that the page before ended with. Raises InvalidRequest."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidRequest(
            f"{token!r} is no page token; send one that a page came with"
        ) from None
