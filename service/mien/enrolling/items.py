"""What a source tells of: pictures with whose they are, and what cannot be one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from mien.errors import MienError

Outcome: TypeAlias = Literal[
    "enrolled", "known", "duplicate", "refused", "passed_over", "removed", "add", "change", "remove"
]
"""What became of a picture; the last three are what a plan says would become of it."""

REASONS = {
    "FILE_VANISHED": "it was there when its folder was listed, and is not any more",
    "FILE_UNREADABLE": "the system does not let it be read",
    "FILE_CHANGING": "it was written to each time that it was read",
    "NOT_A_FILE": "a folder, a pipe or a device",
    "NOT_A_PICTURE_NAME": "no suffix of a picture",
    "NOT_IN_A_FOLDER": "beside the people's folders",
    "LINK_LOOP": "a symbolic link to a folder that it lies in",
    "FOLDER_UNREADABLE": "the folder cannot be listed, so that nothing is known of what is in it",
    "NO_PICTURES": "a person's folder without a picture",
    "LINE_INVALID": "a line of the manifest that says too little, or something else",
    "DUPLICATE_PICTURE": "the same bytes as another picture of this person in the source",
    "SAME_PICTURE_OTHER_SUBJECT": "the same bytes as a picture of somebody else in the source",
    "NEAR_OTHER_SUBJECT": "the face is too alike to somebody else in the gallery",
    "MISFIT": "the face is not like the subject's other pictures",
    "EXPIRY_AS_BEFORE": "the date was changed, but the sample goes when it was first said",
    "NOT_IN_SOURCE": "it was enrolled from this source, which has it no more",
}
"""Beside the reasons of the contract (proto/mien/v1/reason.proto): what only enrolling meets."""


@dataclass(frozen=True)
class Refusal:
    """Why something was refused, or what to think about."""

    reason: str
    message: str

    @classmethod
    def of(cls, error: MienError) -> "Refusal":
        return cls(error.reason, str(error))


@dataclass(frozen=True)
class Said:
    """What a source says of a picture and of its subject, beside who it is."""

    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    consent_ref: str = ""
    expires: datetime | None = None


@dataclass(frozen=True)
class Entry:
    """One picture of a source: `key` is its name there, `subject` whose it is, in any script."""

    key: str
    path: Path
    subject: str
    said: Said = Said()


@dataclass(frozen=True)
class Unusable:
    """Something in a source that is no picture of anybody."""

    key: str
    subject: str
    refusal: Refusal
    outcome: Outcome = "refused"


Item: TypeAlias = Entry | Unusable
