"""The calls that both clients make: one request, one reply."""

from grpc_health.v1 import health_pb2

from mien.client import requests
from mien.client.rpc import Rpc
from mien.v1 import embedding_pb2, gallery_pb2, match_pb2, model_pb2

_EMBEDDING = "mien.v1.EmbeddingService"
_MATCH = "mien.v1.MatchService"
_GALLERY = "mien.v1.GalleryService"
_MODEL = "mien.v1.ModelService"

EMBED = Rpc(_EMBEDDING, "Embed", requests.embed, embedding_pb2.EmbedResponse)
VERIFY = Rpc(_EMBEDDING, "Verify", requests.verify, embedding_pb2.VerifyResponse)
IDENTIFY = Rpc(_MATCH, "Identify", requests.identify, match_pb2.IdentifyResponse)

CREATE_GALLERY = Rpc(_GALLERY, "CreateGallery", requests.create_gallery, gallery_pb2.Gallery)
GET_GALLERY = Rpc(_GALLERY, "GetGallery", requests.get_gallery, gallery_pb2.Gallery)
LIST_GALLERIES = Rpc(
    _GALLERY, "ListGalleries", requests.list_galleries, gallery_pb2.ListGalleriesResponse
)
LABEL_GALLERY = Rpc(_GALLERY, "UpdateGallery", requests.label_gallery, gallery_pb2.Gallery)
RETAIN = Rpc(_GALLERY, "UpdateGallery", requests.retain, gallery_pb2.Gallery)
DELETE_GALLERY = Rpc(_GALLERY, "DeleteGallery", requests.delete_gallery, gallery_pb2.DeleteReceipt)

ENROLL = Rpc(_GALLERY, "EnrollSample", requests.enrolment, gallery_pb2.EnrollSampleResponse)
GET_SUBJECT = Rpc(_GALLERY, "GetSubject", requests.get_subject, gallery_pb2.Subject)
LIST_SUBJECTS = Rpc(
    _GALLERY, "ListSubjects", requests.list_subjects, gallery_pb2.ListSubjectsResponse
)
UPDATE_SUBJECT = Rpc(
    _GALLERY, "UpdateSubject", requests.update_subject, gallery_pb2.UpdateSubjectResponse
)
MERGE_SUBJECTS = Rpc(
    _GALLERY, "MergeSubjects", requests.merge_subjects, gallery_pb2.MergeSubjectsResponse
)
DELETE_SAMPLES = Rpc(_GALLERY, "DeleteSamples", requests.delete_samples, gallery_pb2.DeleteReceipt)
DELETE_SUBJECT = Rpc(_GALLERY, "DeleteSubject", requests.delete_subject, gallery_pb2.DeleteReceipt)
EXPORT_SUBJECT = Rpc(_GALLERY, "ExportSubject", requests.export_subject, gallery_pb2.SubjectExport)

MODEL = Rpc(_MODEL, "GetModel", requests.model, model_pb2.Model)
CALIBRATION = Rpc(_MODEL, "GetCalibration", requests.calibration, model_pb2.Calibration)


def _health(service: str = "") -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


HEALTH = Rpc("grpc.health.v1.Health", "Check", _health, health_pb2.HealthCheckResponse)

EMBED_STREAM = f"/{_EMBEDDING}/EmbedStream"
IDENTIFY_STREAM = f"/{_MATCH}/IdentifyStream"
ENROLL_BATCH = f"/{_GALLERY}/EnrollBatch"
