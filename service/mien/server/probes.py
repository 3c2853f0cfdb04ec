"""Vectors of whatever a caller may send: the one place where pictures become vectors here."""

from collections.abc import Sequence

from mien.errors import InvalidArgument, InvalidRequest
from mien.gallery.galleries import Galleries
from mien.matching.metrics import Vectors
from mien.model.pipeline import Pipeline
from mien.server import messages
from mien.v1 import probe_pb2

_Policy = probe_pb2.MultiFacePolicy


class Probes:
    """Vectors of pictures, of embeddings and of who is enrolled."""

    def __init__(self, pipeline: Pipeline, galleries: Galleries) -> None:
        self.pipeline = pipeline
        self._galleries = galleries

    def embed_each(
        self, images: Sequence[probe_pb2.Image], multi_face: "_Policy.ValueType"
    ) -> list[Vectors | InvalidArgument]:
        """Each picture's float32 [D], or what is wrong with it. Raises InvalidRequest."""
        check_multi_face(multi_face)
        outcomes: list[Vectors | InvalidArgument | None] = [_targeted(image) for image in images]
        plain = [image.content for image in images if not image.HasField("target")]
        vectors = iter(self.pipeline.embed_each(plain))
        return [next(vectors) if outcome is None else outcome for outcome in outcomes]

    def embed(self, image: probe_pb2.Image, multi_face: "_Policy.ValueType") -> Vectors:
        """float32 [D]. Raises InvalidRequest, and what is wrong with the picture."""
        check_multi_face(multi_face)
        if refused := _targeted(image):
            raise refused
        return self.pipeline.embed(image.content)

    def vectors(self, probe: probe_pb2.Probe) -> Vectors:
        """float32 [n, D]: one vector of a picture or an embedding, every one of a subject."""
        match probe.WhichOneof("source"):
            case "image":
                return self.embed(probe.image, probe_pb2.MULTI_FACE_POLICY_UNSPECIFIED)[None]
            case "embedding":
                return messages.read_embedding(probe.embedding, self.pipeline.bundle)[None]
            case "subject":
                fingerprint = self.pipeline.bundle.manifest.fingerprint
                return self._galleries.vectors(
                    probe.subject.gallery_id, probe.subject.subject_id, fingerprint
                )
        raise InvalidRequest("a probe is empty; give it an image, an embedding or a subject")

    def matched(self, *probes: probe_pb2.Probe) -> None:
        """Note of those that are enrolled that they were matched."""
        for probe in probes:
            if probe.WhichOneof("source") == "subject":
                named = probe.subject
                self._galleries.matched(named.gallery_id, [named.subject_id])


def _targeted(image: probe_pb2.Image) -> InvalidRequest | None:
    """What is wrong with a picture that has a target, where the picture is the crop."""
    if not image.HasField("target"):
        return None
    return InvalidRequest(
        "the picture is the crop of this model, so that it has no target within; leave it out"
    )


def check_multi_face(policy: "_Policy.ValueType", *, all_allowed: bool = False) -> None:
    """Raise InvalidRequest unless the contract knows it and the call takes it.

    Where the picture is the crop it shows one face, and the policies are the same.
    """
    if policy not in _Policy.values():
        raise InvalidRequest(f"multi_face is {policy}, which is none of the contract's policies")
    if policy == probe_pb2.MULTI_FACE_POLICY_ALL and not all_allowed:
        raise InvalidRequest("multi_face is ALL, which is for Identify; take REJECT or LARGEST")
