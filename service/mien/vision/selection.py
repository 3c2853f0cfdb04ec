"""Which of the faces in a picture are meant."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from mien.errors import MultipleFaces, NoFace
from mien.vision.faces import Face, largest_first
from mien.vision.quality import REFUSE, Limits

MultiFace: TypeAlias = Literal["reject", "largest", "all"]
"""What to do with a picture of several faces: refuse it, take the largest, or take all."""
OneFace: TypeAlias = Literal["reject", "largest"]
"""The policies that give one face."""

MOST_FACES = 100
"""In a picture of which all are asked for, ours: what one answer takes stays within bounds."""


def select(faces: Sequence[Face], policy: MultiFace, limits: Limits = REFUSE) -> list[Face]:
    """The faces that the policy takes, the largest first; at least one.

    Where one face is asked for, a face of which the detector is not sure, or which has too few
    pixels to be used, does not count beside one that can be used: a poster in the background
    refuses nobody. Where no face can be used, the largest is taken, and its quality says why it is
    refused. "all" leaves none out: those that cannot be used are refused one by one.

    Raises NoFace; with "reject" MultipleFaces, and with "all" beyond MOST_FACES.
    """
    if not faces:
        raise NoFace("the picture shows no face that the detector finds; take one from the front")
    if policy == "all":
        return _all(faces)
    usable = [face for face in largest_first(faces) if _counts(face, limits)]
    if not usable:
        return largest_first(faces)[:1]
    if policy == "reject" and len(usable) > 1:
        raise MultipleFaces(
            f"the picture shows {len(usable)} faces and one was asked for; cut it to the one that "
            "is meant, or ask for the largest"
        )
    return usable[:1]


def _all(faces: Sequence[Face]) -> list[Face]:
    if len(faces) > MOST_FACES:
        raise MultipleFaces(
            f"the picture shows {len(faces)} faces, and all of at most {MOST_FACES} can be asked "
            "for; cut it into parts, or ask for the largest"
        )
    return largest_first(faces)


def _counts(face: Face, limits: Limits) -> bool:
    side = min(face.box.width, face.box.height)
    return face.score >= limits.score and side >= limits.min_side_px
