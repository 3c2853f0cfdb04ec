"""What is asked of an evaluation, and the samples that it takes."""

from dataclasses import dataclass
from pathlib import Path

from mien.errors import InvalidRequest
from mien.evaluation.contract import Role
from mien.evaluation.samples import Samples
from mien.evaluation.sources import Source, open_roles, open_source
from mien.model.bundle import Bundle
from mien.vision.faces import Middle
from mien.vision.selection import OneFace
from mien.vision.yunet import detector_for


@dataclass(frozen=True)
class Request:
    """What is to be evaluated, and how."""

    dataset: Path
    """A folder of people, or saved vectors; with `probes` the people who are enrolled."""
    pairs: Path | None = None
    groups: Path | None = None
    threshold: float | None = None
    save_vectors: Path | None = None
    seed: int = 0
    detector_model: Path | None = None
    """The face detector's file, for bundles that align faces; None: the one that is found."""
    multi_face: OneFace = "largest"
    probes: Path | None = None
    strangers: Path | None = None
    middle: float | None = None
    """The share of each picture, in its middle, that the same bundle is held against."""


def open_asked(request: Request) -> Source:
    """What is to be measured, checked as far as that goes without embedding.

    Raises DatasetInvalid, and InvalidRequest for what does not go together.
    """
    if request.probes is None:
        if request.strangers is not None:
            raise InvalidRequest(
                f"{request.strangers} are searched for beside probes; name those, too: pictures "
                f"of the people of {request.dataset} that are not enrolled"
            )
        return open_source(request.dataset, request.pairs)
    for name, given in (("pairs", request.pairs), ("saved vectors", request.save_vectors)):
        if given is not None:
            raise InvalidRequest(f"{name} do not go with probes; leave one of them out")
    folders: dict[Role, Path] = {"gallery": request.dataset, "probes": request.probes}
    if request.strangers is not None:
        folders["strangers"] = request.strangers
    return open_roles(folders)


def embed_asked(
    bundle: Bundle, source: Source, request: Request, middle: float | None = None
) -> Samples:
    """The samples of a source, of which a detector or the `middle` cuts the crops.

    Raises DetectorMissing, and as `Source.samples`.
    """
    if source.kind == "vectors":
        return source.samples(bundle)
    if middle is not None:
        return source.samples(bundle, Middle(middle))
    detector = detector_for(bundle.manifest.input.alignment, request.detector_model)
    return source.samples(bundle, detector, request.multi_face)


def check_middle(bundle: Bundle, share: float, other: Bundle | None) -> None:
    """Raises InvalidRequest if the bundle cannot be held against the middle of pictures."""
    if not 0 < share <= 1:
        raise InvalidRequest(f"the share of the middle is {share}; it is above 0 and at most 1")
    if other is not None:
        raise InvalidRequest("a bundle is held against another, or against the middle, not both")
    if bundle.manifest.input.alignment == "none":
        raise InvalidRequest(
            f"{bundle.folder} has the alignment none: it takes the whole picture and looks for no "
            "face, so that there is nothing to hold the middle against"
        )
