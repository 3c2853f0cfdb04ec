"""Vectors of whatever a caller may send: the one place where pictures become vectors here."""

import math
from collections.abc import Sequence

from mien.errors import InvalidArgument, InvalidRequest
from mien.gallery.galleries import Galleries
from mien.model.pipeline import Faces, Pipeline
from mien.server import messages
from mien.server.looks import Look, look_of
from mien.v1 import probe_pb2
from mien.vision.faces import Box, Detector, InShares, WholePicture
from mien.vision.selection import MultiFace, OneFace

_Policy = probe_pb2.MultiFacePolicy
_POLICIES = frozenset(_Policy.values())
"""Made once: the list is made anew each time that it is asked for."""
_ONE: dict["_Policy.ValueType", OneFace] = {
    probe_pb2.MULTI_FACE_POLICY_UNSPECIFIED: "reject",
    probe_pb2.MULTI_FACE_POLICY_REJECT: "reject",
    probe_pb2.MULTI_FACE_POLICY_LARGEST: "largest",
}


class Probes:
    """Looks of pictures, of embeddings and of who is enrolled."""

    def __init__(self, pipeline: Pipeline, galleries: Galleries) -> None:
        self.pipeline = pipeline
        self._galleries = galleries

    def embed_each(
        self, images: Sequence[probe_pb2.Image], policy: OneFace
    ) -> list[Look | InvalidArgument]:
        """Each picture's one face, or what is wrong with it."""
        contents = [image.content for image in images]
        told = [self._try_told(image) for image in images]
        return [_one(faces) for faces in self.pipeline.faces_each(contents, policy, told)]

    def embed(self, image: probe_pb2.Image, policy: OneFace) -> Look:
        """Raises InvalidRequest, and what is wrong with the picture."""
        return _only(self.faces(image, policy))

    def faces(self, image: probe_pb2.Image, policy: MultiFace) -> Faces:
        """A picture's faces, at least one. Raises as `embed`."""
        return self.pipeline.faces(image.content, policy, self._told(image))

    def look(self, probe: probe_pb2.Probe, policy: OneFace) -> Look:
        """Of a picture with one face, of an embedding or of a subject."""
        match probe.WhichOneof("source"):
            case "image":
                return self.embed(probe.image, policy)
            case "embedding":
                return Look(messages.read_embedding(probe.embedding, self.pipeline.bundle)[None])
            case "subject":
                named, manifest = probe.subject, self.pipeline.bundle.manifest
                return Look(
                    self._galleries.vectors(
                        named.gallery_id, named.subject_id, manifest.fingerprint
                    )
                )
        raise InvalidRequest("a probe is empty; give it an image, an embedding or a subject")

    def matched(self, *probes: probe_pb2.Probe) -> None:
        """Note of those that are enrolled that they were matched."""
        for probe in probes:
            if probe.WhichOneof("source") == "subject":
                named = probe.subject
                self._galleries.matched(named.gallery_id, [named.subject_id])

    def _try_told(self, image: probe_pb2.Image) -> Detector | InvalidRequest | None:
        try:
            return self._told(image)
        except InvalidRequest as error:
            return error

    def _told(self, image: probe_pb2.Image) -> Detector | None:
        """What is said of where the face is. Raises InvalidRequest."""
        if not image.HasField("target"):
            return None
        if isinstance(self.pipeline.detector, WholePicture):
            raise InvalidRequest(
                "the picture is the crop of this model, so that it has no target within; leave it "
                "out"
            )
        target = image.target
        box = Box(target.left, target.top, target.width, target.height)
        if not (all(map(math.isfinite, box)) and box.width > 0 and box.height > 0):
            raise InvalidRequest(
                f"the target is {tuple(box)}; give left, top, width and height in shares of the "
                "picture, the last two more than 0"
            )
        return InShares(box, self.pipeline.detector)


def read_one_face(policy: "_Policy.ValueType") -> OneFace:
    """Raise InvalidRequest unless it is a policy of the contract that gives one face.

    Where the picture is the crop it shows one face, and the policies are the same.
    """
    if one := _ONE.get(policy):
        return one
    _check(policy)
    raise InvalidRequest("multi_face is ALL, which is for Identify; take REJECT or LARGEST")


def read_multi_face(policy: "_Policy.ValueType") -> MultiFace:
    """Of a search, which looks for every face unless told. Raises InvalidRequest."""
    _check(policy)
    if policy == probe_pb2.MULTI_FACE_POLICY_UNSPECIFIED:
        return "all"
    return _ONE.get(policy, "all")


def _check(policy: "_Policy.ValueType") -> None:
    if policy not in _POLICIES:
        raise InvalidRequest(f"multi_face is {policy}, which is none of the contract's policies")


def _one(faces: Faces | InvalidArgument) -> Look | InvalidArgument:
    return faces if isinstance(faces, InvalidArgument) else _only(faces)


def _only(faces: Faces) -> Look:
    (face,) = faces.embedded
    return look_of(face, faces.size)
