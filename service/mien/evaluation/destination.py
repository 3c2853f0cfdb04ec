"""Where results will be written, checked before anything is measured."""

import os
from pathlib import Path
from tempfile import TemporaryFile

from mien.errors import InvalidRequest

LONGEST_NAME = 240
"""Bytes. File systems allow 255, and what is written has a longer name until it is whole."""


def check_writable(path: Path) -> None:
    """Prove that a file or folder can be made there: in its nearest folder a file is opened.

    Raises InvalidRequest, naming the path.
    """
    try:
        for part in path.parts:
            if len(os.fsencode(part)) > LONGEST_NAME:
                raise ValueError(f"a name in it is longer than {LONGEST_NAME} bytes")
        if path.is_symlink() and not path.exists():
            raise ValueError("it is a link to nothing")
        absolute = path.absolute()
        nearest = next((p for p in absolute.parents if p.exists()), absolute)
        with TemporaryFile(dir=nearest):
            pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidRequest(f"{path} cannot be written: {why}; choose another place") from None
