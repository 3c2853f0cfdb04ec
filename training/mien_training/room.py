"""Room on the disk that a run is written to."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import StorageFull

CHECKPOINT = "checkpoint.pt"
"""In the folder of a run."""
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def room_for(file: Path, run: Path, epoch: int = 0) -> Iterator[None]:
    """Write a file of the run folder `run` within, so many epochs after its start.

    Raises StorageFull, which names the file and says whether there is a checkpoint to go on from,
    where the disk, a quota or a limit on the size of files leaves no space for it.
    """
    try:
        yield
    except Exception as error:
        if not _has_no_space(error):
            raise
        when = f" after epoch {epoch}" if epoch else ""
        kept = (
            "; the checkpoint before it is kept: free some space and go on with --resume"
            if (run / CHECKPOINT).is_file()
            else ", and there is no checkpoint yet: free some space and begin anew with --resume"
        )
        raise StorageFull(f"no space left for {file}{when}{kept}") from None


def _has_no_space(error: BaseException | None) -> bool:
    """Torch wraps the error of a file that it writes to."""
    if error is None:
        return False
    is_it = isinstance(error, OSError) and error.errno in NO_SPACE
    return is_it or _has_no_space(error.__cause__ or error.__context__)
