"""What came of a call, in a word and in numbers; for the audit, so without subjects and vectors."""

from typing import Any

from mien.v1 import decision_pb2, embedding_pb2, gallery_pb2, match_pb2, reason_pb2

Outcome = tuple[str, dict[str, Any]]


def asked(request: Any) -> dict[str, Any]:
    """The error rate or threshold that a request asks to be decided by."""
    if "decision" not in request.DESCRIPTOR.fields_by_name:
        return {}
    policy = request.decision.WhichOneof("policy")
    return {"asked": {policy: getattr(request.decision, policy)}} if policy else {}


def outcome_of(response: Any) -> Outcome:  # noqa: PLR0911 - a line for each kind
    """Of an answer, or of one message of a stream of them."""
    match response:
        case embedding_pb2.VerifyResponse():
            return "match" if response.match else "no match", _applied(response.applied)
        case match_pb2.IdentifyResponse():
            return _identified(response)
        case match_pb2.IdentifyStreamResponse():
            if response.HasField("response"):
                return _identified(response.response)
            return _rejected(response.rejected)
        case gallery_pb2.EnrollSampleResponse():
            return _enrolled(response)
        case gallery_pb2.EnrollBatchResponse():
            return _enrolled(response.response)
        case gallery_pb2.DeleteReceipt():
            facts = {"samples": response.samples_deleted, "revision": response.revision}
            return "deleted", facts
    return "answered", {}


def _identified(response: match_pb2.IdentifyResponse) -> Outcome:
    found = any(face.identified for face in response.faces)
    facts = _applied(response.applied) | {"revision": response.gallery_revision}
    return "identified" if found else "nobody", facts


def _applied(applied: decision_pb2.AppliedDecision) -> dict[str, Any]:
    facts = {"threshold": round(applied.threshold, 6), "n": applied.n}
    return facts | ({"fmr": applied.fmr} if applied.HasField("fmr") else {})


def _enrolled(response: gallery_pb2.EnrollSampleResponse) -> Outcome:
    if response.HasField("rejected"):
        return _rejected(response.rejected)
    word = "known already" if response.already_existed else "enrolled"
    return word, {"revision": response.revision}


def _rejected(rejection: embedding_pb2.Rejection) -> Outcome:
    names = [reason_pb2.Reason.Name(reason) for reason in rejection.reasons]
    return "refused", {"reasons": [name.removeprefix("REASON_") for name in names]}
