"""MatchService."""

from collections.abc import Iterator, Sequence
from functools import partial

import grpc

from mien import deadline
from mien.errors import RevisionNotReached
from mien.gallery.galleries import Galleries
from mien.gallery.records import Found
from mien.matching.calibration import fusion_of
from mien.matching.decision import Decision, Policy, TargetFMR, TargetFPIR, decide
from mien.server import messages
from mien.server.calls.admission import deadline_of
from mien.server.explanations import Explanations
from mien.server.looks import Look, looks_of, write_refused
from mien.server.maintenance.duplicates import find_duplicates
from mien.server.paging import DEFAULT_CANDIDATES, MAX_CANDIDATES, page_size
from mien.server.probes import Probes, read_multi_face
from mien.server.streams import Streams
from mien.v1 import match_pb2, match_pb2_grpc


class MatchServicer(match_pb2_grpc.MatchServiceServicer):
    def __init__(  # noqa: PLR0913 - what it answers from
        self,
        probes: Probes,
        galleries: Galleries,
        explanations: Explanations,
        streams: Streams,
        default: TargetFPIR,
        *,
        default_fmr: TargetFMR,
    ) -> None:
        self._bundle = probes.pipeline.bundle
        self._probes = probes
        self._galleries = galleries
        self._explanations = explanations
        self._streams = streams
        self._default = default
        self._default_fmr = default_fmr

    def Identify(
        self, request: match_pb2.IdentifyRequest, context: grpc.ServicerContext
    ) -> match_pb2.IdentifyResponse:
        return self._identify(request)

    def IdentifyStream(
        self,
        request_iterator: Iterator[match_pb2.IdentifyStreamRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[match_pb2.IdentifyStreamResponse]:
        def answer(request: match_pb2.IdentifyStreamRequest) -> match_pb2.IdentifyStreamResponse:
            tag = messages.read_tag(request.tag)
            return match_pb2.IdentifyStreamResponse(
                tag=tag, response=self._identify(request.request)
            )

        return self._streams.as_ready(
            request_iterator,
            context,
            answer,
            lambda request, refused: match_pb2.IdentifyStreamResponse(
                tag=request.tag, rejected=refused
            ),
        )

    def FindDuplicates(
        self, request: match_pb2.FindDuplicatesRequest, context: grpc.ServicerContext
    ) -> Iterator[match_pb2.FindDuplicatesResponse]:
        go_on = partial(deadline_of(context).check, "compare everybody")
        with self._streams.place():
            yield from find_duplicates(
                self._galleries, self._bundle.calibration, request, self._default_fmr, go_on
            )

    def _identify(self, request: match_pb2.IdentifyRequest) -> match_pb2.IdentifyResponse:
        wanted = page_size(request.max_candidates, DEFAULT_CANDIDATES, MAX_CANDIDATES)
        policy = messages.read_policy(request.decision, self._default)
        looks, refused = self._looks(request)
        found = [self._search(request, look, wanted) for look in looks]
        decision = self._decide(policy, looks, found)
        return match_pb2.IdentifyResponse(
            faces=[
                self._face(request, look, each, decision, wanted)
                for look, each in zip(looks, found, strict=True)
            ],
            refused=refused,
            applied=messages.write_decision(decision),
            gallery_revision=min(each.revision for each in found),
            model_fingerprint=self._bundle.manifest.fingerprint,
        )

    def _looks(
        self, request: match_pb2.IdentifyRequest
    ) -> tuple[list[Look], list[match_pb2.IdentifyResponse.Refused]]:
        """Whom to search for, at least one, and the faces that are of no use."""
        multi_face, probe = read_multi_face(request.multi_face), request.probe
        if probe.WhichOneof("source") != "image":
            return [self._probes.look(probe, "reject")], []
        faces = self._probes.faces(probe.image, multi_face)
        return looks_of(faces), [write_refused(each, faces.size) for each in faces.refused]

    def _search(self, request: match_pb2.IdentifyRequest, look: Look, wanted: int) -> Found:
        deadline.check("search")
        found = self._galleries.search(
            request.gallery_id,
            look.vectors,
            self._bundle.manifest.fingerprint,
            max(wanted, 2) if request.explain else wanted,  # it tells of the second best
            fusion_of(self._bundle.calibration),
            exact=request.exact,
            labels=dict(request.label_filter),
        )
        _check_revision(request, found)
        return found

    def _decide(self, policy: Policy, looks: Sequence[Look], found: Sequence[Found]) -> Decision:
        """One threshold for all faces, so that the rate is of the whole answer.

        The gallery may change between two searches: the larger numbers do not understate it.
        """
        return decide(
            policy,
            self._bundle.calibration,
            max(each.subjects for each in found),
            max(each.samples_per_subject for each in found),
            sum(len(look.vectors) for look in looks),
        )

    def _face(
        self,
        request: match_pb2.IdentifyRequest,
        look: Look,
        found: Found,
        decision: Decision,
        wanted: int,
    ) -> match_pb2.IdentifyResponse.Face:
        matches = found.matches[:wanted]
        labels = self._galleries.labels(request.gallery_id, [each.subject_id for each in matches])
        candidates = messages.write_candidates(matches, decision, labels)
        accepted = [each.subject_id for each in candidates if each.accepted]
        if accepted:
            self._galleries.matched(request.gallery_id, accepted)
        face = match_pb2.IdentifyResponse.Face(
            box=look.box,
            quality=look.write_quality(),
            candidates=candidates,
            identified=bool(accepted),
        )
        if request.explain:
            face.explanation.CopyFrom(
                self._explanations.of_search(
                    request.gallery_id, look.vectors, found.matches, decision
                )
            )
        return face


def _check_revision(request: match_pb2.IdentifyRequest, found: Found) -> None:
    if request.HasField("min_revision") and found.revision < request.min_revision:
        raise RevisionNotReached(
            f"gallery {request.gallery_id!r} is at revision {found.revision}, and the search must "
            f"have seen {request.min_revision}; ask for a revision that a change was answered "
            "with, of this gallery as it was last created"
        )
