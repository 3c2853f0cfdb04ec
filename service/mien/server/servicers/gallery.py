"""GalleryService."""

from collections.abc import Iterator

import grpc

from mien.errors import MienError
from mien.gallery.galleries import Galleries
from mien.gallery.records import Retention
from mien.model.bundle import Bundle
from mien.server import gallery_messages as messages
from mien.server.calls.call import current_call
from mien.server.enrolling.enroller import Enroller
from mien.server.enrolling.stream import EnrolStream
from mien.server.paging import page_size, read_token, write_token
from mien.server.visible import visible
from mien.v1 import gallery_pb2, gallery_pb2_grpc


class GalleryServicer(gallery_pb2_grpc.GalleryServiceServicer):
    def __init__(
        self, bundle: Bundle, galleries: Galleries, enroller: Enroller, stream: EnrolStream
    ) -> None:
        self._manifest = bundle.manifest
        self._galleries = galleries
        self._enroller = enroller
        self._stream = stream

    def CreateGallery(
        self, request: gallery_pb2.CreateGalleryRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.Gallery:
        info = self._galleries.create(
            request.gallery_id,
            self._manifest.fingerprint,
            self._manifest.input.dim,
            labels=dict(request.labels),
            retention=messages.read_retention(request.retention),
            request_id=request.request_id,
        )
        return messages.write_gallery(info)

    def GetGallery(
        self, request: gallery_pb2.GetGalleryRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.Gallery:
        return messages.write_gallery(self._galleries.get(request.gallery_id))

    def ListGalleries(
        self, request: gallery_pb2.ListGalleriesRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.ListGalleriesResponse:
        size = page_size(request.page_size)
        scope, after = current_call().scope, read_token(request.page_token)
        infos = visible(self._galleries, scope, after, limit=size + 1)
        response = gallery_pb2.ListGalleriesResponse(
            galleries=map(messages.write_gallery, infos[:size])
        )
        if len(infos) > size:
            response.next_page_token = write_token(infos[size - 1].gallery_id)
        return response

    def UpdateGallery(
        self, request: gallery_pb2.UpdateGalleryRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.Gallery:
        paths = messages.read_mask(request.update_mask, messages.GALLERY_PATHS)
        retention: Retention | None = None
        if "retention" in paths:
            retention = messages.read_retention(request.gallery.retention)
        info = self._galleries.update(
            request.gallery.gallery_id,
            labels=dict(request.gallery.labels) if "labels" in paths else None,
            retention=retention,
            request_id=request.request_id,
        )
        return messages.write_gallery(info)

    def DeleteGallery(
        self, request: gallery_pb2.DeleteGalleryRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.DeleteReceipt:
        return messages.write_receipt(
            self._galleries.delete(request.gallery_id, request.request_id)
        )

    def EnrollSample(
        self, request: gallery_pb2.EnrollSampleRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.EnrollSampleResponse:
        (wanted,) = self._enroller.read([request])
        if isinstance(wanted, MienError):
            raise wanted
        (outcome,) = self._enroller.enroll(request.gallery_id, [wanted])
        if isinstance(outcome, MienError):
            raise outcome
        return outcome

    def EnrollBatch(
        self,
        request_iterator: Iterator[gallery_pb2.EnrollBatchRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[gallery_pb2.EnrollBatchResponse]:
        return self._stream.answers(request_iterator, context)

    def GetSubject(
        self, request: gallery_pb2.GetSubjectRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.Subject:
        return messages.write_subject(
            self._galleries.get_subject(request.gallery_id, request.subject_id)
        )

    def ListSubjects(
        self, request: gallery_pb2.ListSubjectsRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.ListSubjectsResponse:
        size = page_size(request.page_size)
        found = self._galleries.subjects(
            request.gallery_id,
            read_token(request.page_token),
            size + 1,
            dict(request.label_filter),
        )
        response = gallery_pb2.ListSubjectsResponse(
            subjects=(messages.write_subject(each, samples=False) for each in found[:size])
        )
        if len(found) > size:
            response.next_page_token = write_token(found[size - 1].subject_id)
        return response

    def UpdateSubject(
        self, request: gallery_pb2.UpdateSubjectRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.UpdateSubjectResponse:
        changed = self._galleries.update_subject(
            request.gallery_id,
            request.subject.subject_id,
            messages.read_change(request.subject, request.update_mask),
            request.request_id,
        )
        return gallery_pb2.UpdateSubjectResponse(
            subject=messages.write_subject(changed.subject), revision=changed.revision
        )

    def MergeSubjects(
        self, request: gallery_pb2.MergeSubjectsRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.MergeSubjectsResponse:
        changed = self._galleries.merge_subjects(
            request.gallery_id,
            request.into_subject_id,
            request.from_subject_ids,
            request.request_id,
        )
        return gallery_pb2.MergeSubjectsResponse(
            subject=messages.write_subject(changed.subject), revision=changed.revision
        )

    def DeleteSamples(
        self, request: gallery_pb2.DeleteSamplesRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.DeleteReceipt:
        return messages.write_receipt(
            self._galleries.delete_samples(
                request.gallery_id, request.sample_ids, request.request_id
            )
        )

    def DeleteSubject(
        self, request: gallery_pb2.DeleteSubjectRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.DeleteReceipt:
        return messages.write_receipt(
            self._galleries.delete_subject(
                request.gallery_id, request.subject_id, request.request_id, request.allow_missing
            )
        )

    def ExportSubject(
        self, request: gallery_pb2.ExportSubjectRequest, context: grpc.ServicerContext
    ) -> gallery_pb2.SubjectExport:
        held = self._galleries.export_subject(request.gallery_id, request.subject_id)
        return messages.write_export(held, embeddings=request.include_embeddings)
