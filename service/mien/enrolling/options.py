"""What `mien enroll` is asked to do."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mien.vision.selection import OneFace

Policy: TypeAlias = Literal["report", "refuse"]


@dataclass(frozen=True)
class Options:
    """What to do with what is doubtful; and whether to do it at all."""

    duplicates: Policy = "report"
    """With the same picture of one person, a second time: it is never enrolled twice."""
    other_subject: Policy = "report"
    """With one face under two names."""
    misfits: Policy = "report"
    """With a picture that does not fit its subject's others."""
    fmr: float = 0.0
    """By which faces are alike; 0 means the server's default."""
    multi_face: OneFace = "reject"
    sync: bool = False
    """Let go what was enrolled from this source, and is not in it any more."""
    plan: bool = False
    validate_only: bool = False

    @property
    def tries(self) -> bool:
        """Nothing is to be changed."""
        return self.plan or self.validate_only
