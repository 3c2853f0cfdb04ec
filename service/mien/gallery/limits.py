"""How many of something a call may ask for."""

from mien.errors import InvalidRequest


def check_limit(limit: int, largest: int | None = None) -> None:
    """Raise InvalidRequest unless it is 1 or more, and no more than the largest."""
    if limit < 1:
        raise InvalidRequest(f"a limit of {limit} asks for nothing; give 1 or more")
    if largest is not None and limit > largest:
        raise InvalidRequest(f"{limit} is more than {largest} at once; ask for less")
