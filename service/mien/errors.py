"""Everything mien refuses, as one tree.

MienError
├── InvalidArgument             the caller sent something that can never work
│   ├── InvalidRequest          a field is missing or out of range
│   ├── InvalidId
│   ├── InvalidEmbedding
│   ├── RequestIdReused         a request id that was used for another request
│   ├── ImageUndecodable
│   ├── ImageTooLarge
│   ├── FaceRefused             a picture that can be read, and whose face is of no use
│   │   ├── NoFace
│   │   ├── MultipleFaces
│   │   ├── FaceTooSmall
│   │   ├── LowSharpness
│   │   ├── LowBrightness       too dark, too bright, or without contrast
│   │   ├── ExtremePose
│   │   └── LowConfidence       the detector is not sure that it is one
│   ├── DatasetInvalid          a folder of people, a pair file, groups or vectors that are none
│   ├── SettingsInvalid
│   └── RecipeInvalid
├── FailedPrecondition          it may work once something else has changed
│   ├── BundleInvalid           a file of a bundle is missing, changed or of a newer format
│   ├── ExtraMissing            a command needs a package that is not installed
│   ├── DetectorMissing         the file of the face detector is not there, or is none
│   ├── DownloadFailed          a file could not be fetched, or is not the one that was asked for
│   ├── RunInvalid              a run of mien-train is missing or damaged
│   ├── LearningStopped         a run of mien-train that would come to nothing
│   ├── DataDirectoryLocked
│   ├── StoreInvalid            the galleries' database is damaged or of a newer schema
│   ├── SnapshotInvalid         a file to be restored is damaged, or no snapshot
│   ├── StorageFull
│   ├── AddressInUse
│   ├── KeysInvalid             the file of API keys is damaged, or open to others
│   ├── ModelMismatch
│   ├── NotCalibrated
│   ├── UnsupportedOperatingPoint
│   └── RevisionNotReached      a gallery is behind the revision that a search must have seen
├── NotFound
│   ├── GalleryNotFound
│   ├── SubjectNotFound
│   ├── ModelNotFound
│   ├── CalibrationNotFound
│   └── KeyNotFound
├── AlreadyExists
│   ├── GalleryExists
│   ├── DuplicateOtherSubject   a face that is known under another subject
│   └── OutputExists            a file or folder to be written is there already
├── Unauthenticated             no API key, or none that is accepted
├── PermissionDenied            the key does not allow for this call or this gallery
├── ResourceExhausted           too much at once; nothing was done, and it may be sent again later
│   ├── QueueFull               the server has as much to do as it takes
│   ├── TooManyStreams
│   └── RateLimited             the caller asks more often than it may
├── DeadlineExceeded            the caller's time was up before there was an answer
├── CallerGone                  the caller hung up; nobody reads this
├── ServerUnavailable           the client reaches no server, or one that starts or stops
└── Internal                    the server failed; only its log says why

A message says what is wrong, with which value, and what to do next. How a class travels over gRPC
is one table in `mien.server.calls.statuses`; each branch is one status code.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar


class MienError(Exception):
    """The root. `reason` is the stable name of the error, from the closed list in reason.proto."""

    reason: ClassVar[str]


class InvalidArgument(MienError):
    """The caller sent something that can never work."""


class InvalidRequest(InvalidArgument):
    reason = "INVALID_REQUEST"


class InvalidId(InvalidArgument):
    reason = "INVALID_ID"


class InvalidEmbedding(InvalidArgument):
    reason = "INVALID_EMBEDDING"


class RequestIdReused(InvalidArgument):
    reason = "REQUEST_ID_REUSED"


class ImageUndecodable(InvalidArgument):
    reason = "IMAGE_UNDECODABLE"


class ImageTooLarge(InvalidArgument):
    reason = "IMAGE_TOO_LARGE"


class FaceRefused(InvalidArgument):
    """A picture that can be read, and whose face is of no use (ISO/IEC 29794-5 grades faces).

    `reasons` are all that are wrong with the face, that of the class first.
    """

    def __init__(self, message: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons) or (self.reason,)


class NoFace(FaceRefused):
    reason = "NO_FACE"


class MultipleFaces(FaceRefused):
    reason = "MULTIPLE_FACES"


class FaceTooSmall(FaceRefused):
    reason = "FACE_TOO_SMALL"


class LowSharpness(FaceRefused):
    reason = "LOW_SHARPNESS"


class LowBrightness(FaceRefused):
    reason = "LOW_BRIGHTNESS"


class ExtremePose(FaceRefused):
    reason = "EXTREME_POSE"


class LowConfidence(FaceRefused):
    reason = "LOW_CONFIDENCE"


class DatasetInvalid(InvalidArgument):
    reason = "DATASET_INVALID"


class SettingsInvalid(InvalidArgument):
    reason = "SETTINGS_INVALID"


class RecipeInvalid(InvalidArgument):
    reason = "RECIPE_INVALID"


class FailedPrecondition(MienError):
    """It may work once something else has changed."""


class BundleInvalid(FailedPrecondition):
    reason = "BUNDLE_INVALID"


class ExtraMissing(FailedPrecondition):
    reason = "EXTRA_MISSING"


class DetectorMissing(FailedPrecondition):
    reason = "DETECTOR_MISSING"


class DownloadFailed(FailedPrecondition):
    reason = "DOWNLOAD_FAILED"


class RunInvalid(FailedPrecondition):
    reason = "RUN_INVALID"


class LearningStopped(FailedPrecondition):
    reason = "LEARNING_STOPPED"


class DataDirectoryLocked(FailedPrecondition):
    reason = "DATA_DIRECTORY_LOCKED"


class StoreInvalid(FailedPrecondition):
    reason = "STORE_INVALID"


class SnapshotInvalid(FailedPrecondition):
    reason = "SNAPSHOT_INVALID"


class StorageFull(FailedPrecondition):
    reason = "STORAGE_FULL"


class AddressInUse(FailedPrecondition):
    reason = "ADDRESS_IN_USE"


class KeysInvalid(FailedPrecondition):
    reason = "KEYS_INVALID"


class ModelMismatch(FailedPrecondition):
    reason = "MODEL_MISMATCH"


class NotCalibrated(FailedPrecondition):
    reason = "NOT_CALIBRATED"


class UnsupportedOperatingPoint(FailedPrecondition):
    reason = "UNSUPPORTED_OPERATING_POINT"


class RevisionNotReached(FailedPrecondition):
    reason = "REVISION_NOT_REACHED"


class NotFound(MienError):
    """No such thing."""


class GalleryNotFound(NotFound):
    reason = "GALLERY_NOT_FOUND"


class SubjectNotFound(NotFound):
    reason = "SUBJECT_NOT_FOUND"


class ModelNotFound(NotFound):
    reason = "MODEL_NOT_FOUND"


class CalibrationNotFound(NotFound):
    reason = "CALIBRATION_NOT_FOUND"


class KeyNotFound(NotFound):
    reason = "KEY_NOT_FOUND"


class AlreadyExists(MienError):
    """There is one already."""


class GalleryExists(AlreadyExists):
    reason = "GALLERY_EXISTS"


class DuplicateOtherSubject(AlreadyExists):
    reason = "DUPLICATE_OTHER_SUBJECT"


class OutputExists(AlreadyExists):
    reason = "OUTPUT_EXISTS"


class Unauthenticated(MienError):
    reason = "UNAUTHENTICATED"


class PermissionDenied(MienError):
    reason = "PERMISSION_DENIED"


class ResourceExhausted(MienError):
    """Nothing was done for the request, so that it may be sent again after `retry_after` seconds.

    None says that waiting does not help, or that nobody knows.
    """

    def __init__(self, message: str, retry_after: float | None = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(ResourceExhausted):
    reason = "QUEUE_FULL"


class TooManyStreams(ResourceExhausted):
    reason = "TOO_MANY_STREAMS"


class RateLimited(ResourceExhausted):
    reason = "RATE_LIMITED"


class DeadlineExceeded(MienError):
    reason = "DEADLINE_EXCEEDED"


class CallerGone(MienError):
    reason = "CALLER_GONE"


class ServerUnavailable(MienError):
    reason = "SERVER_UNAVAILABLE"


class Internal(MienError):
    reason = "INTERNAL"


def of_reason(reason: str) -> type[MienError]:
    """The class that a reason names; Internal if this version knows none."""
    return next((kind for kind in tree() if getattr(kind, "reason", None) == reason), Internal)


def tree(root: type[MienError] = MienError) -> Iterator[type[MienError]]:
    """Every class of the tree, the root first."""
    yield root
    for branch in root.__subclasses__():
        yield from tree(branch)
