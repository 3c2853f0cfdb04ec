"""A picture on its way into a gallery."""

from dataclasses import dataclass, field
from typing import TypeAlias

from mien.enrolling.items import Refusal, Said
from mien.enrolling.ledger import Row
from mien.v1 import gallery_pb2


@dataclass(frozen=True)
class Job:
    """A picture that is to be enrolled, and what the ledger says of it meanwhile."""

    row: Row
    content: bytes = field(repr=False)
    said: Said
    source: str
    replaces: str = ""
    """The sample of what the file contained before."""


Answer: TypeAlias = gallery_pb2.EnrollSampleResponse | Refusal
"""What the gallery says of a picture: what EnrollSample answers, or why it is refused."""
