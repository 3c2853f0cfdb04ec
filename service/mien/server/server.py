"""A server from its start to its end."""

from concurrent.futures import ThreadPoolExecutor
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mien.errors import AddressInUse
from mien.gallery.galleries import Galleries
from mien.matching.decision import TargetFMR, TargetFPIR
from mien.model import bundle
from mien.model.bundle import Bundle
from mien.model.embedder import Embedder
from mien.model.pipeline import Pipeline
from mien.server.batch_size import measure
from mien.server.batching import Batcher, Limits
from mien.server.calls import CallInterceptor
from mien.server.enroller import Enroller
from mien.server.explanations import Explanations
from mien.server.interceptors import ErrorInterceptor
from mien.server.maintenance import MaintenanceServicer
from mien.server.probes import Probes
from mien.server.servicers.embedding import EmbeddingServicer
from mien.server.servicers.gallery import GalleryServicer
from mien.server.servicers.match import MatchServicer
from mien.server.servicers.model import ModelServicer
from mien.server.settings import Settings
from mien.server.streams import Streams
from mien.server.threads import arrange
from mien.server.upkeep import Upkeep
from mien.v1 import (
    embedding_pb2_grpc,
    gallery_pb2_grpc,
    maintenance_pb2_grpc,
    match_pb2_grpc,
    model_pb2_grpc,
)
from mien.wire import MESSAGE_LIMITS

CALLS_IN_ALL = 4
"""Times `calls`: so many may be open, with those that are refused and those that are still being
sent. Each has a thread, so that none waits for another; gRPC refuses more, without details.
"""
STOP_SECONDS = 2.0
"""For batches that run while callers are cut off."""

_OPTIONS = [
    ("grpc.so_reuseport", 0),  # or a second server would share the port without a word
    *MESSAGE_LIMITS,
]
SERVICES = (
    "mien.v1.EmbeddingService",
    "mien.v1.MatchService",
    "mien.v1.GalleryService",
    "mien.v1.ModelService",
    "mien.v1.MaintenanceService",
)


class Server:
    """A bundle and its galleries behind a socket; serving when constructed.

    Raises BundleInvalid, DataDirectoryLocked and AddressInUse.
    """

    def __init__(self, settings: Settings) -> None:
        loaded = bundle.load(settings.bundle)
        self.batcher = _batcher(loaded, settings)
        self.pipeline = Pipeline(loaded, engine=self.batcher)
        self.streams = Streams()
        self._drain_seconds = settings.drain_seconds
        self._health = health.HealthServicer()
        most = CALLS_IN_ALL * settings.calls
        self._server = grpc.server(
            ThreadPoolExecutor(most, thread_name_prefix="mien"),
            interceptors=[ErrorInterceptor(), CallInterceptor(settings.calls)],
            options=_OPTIONS,
            maximum_concurrent_rpcs=most,
        )
        self.port = self._listen(settings.address)
        self._galleries = Galleries(settings.data)
        self._add_services(settings)
        self._upkeep = Upkeep(self._galleries, settings.expire_seconds)
        self._server.start()
        for service in ("", *SERVICES):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self) -> None:
        """Refuse new calls, finish the accepted ones within `drain_seconds`, close all."""
        self._health.enter_graceful_shutdown()
        self._server.stop(self._drain_seconds).wait()
        self.batcher.close(STOP_SECONDS)
        self._upkeep.stop()
        self._galleries.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listen(self, address: str) -> int:
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError:
            raise AddressInUse(
                f"cannot listen on {address}: it is in use or not this machine's; "
                "choose another port (0 for any free one)"
            ) from None

    def _add_services(self, settings: Settings) -> None:
        bundle, galleries, server = self.pipeline.bundle, self._galleries, self._server
        fmr, fpir = (
            TargetFMR(settings.default_target_fmr),
            TargetFPIR(settings.default_target_fpir),
        )
        probes, streams = Probes(self.pipeline, galleries), self.streams
        explanations = Explanations(bundle, galleries)
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(
            EmbeddingServicer(probes, explanations, streams, fmr), server
        )
        match_pb2_grpc.add_MatchServiceServicer_to_server(
            MatchServicer(probes, galleries, explanations, streams, fpir, default_fmr=fmr), server
        )
        gallery_pb2_grpc.add_GalleryServiceServicer_to_server(
            GalleryServicer(bundle, galleries, Enroller(probes, galleries, fmr), streams), server
        )
        maintenance_pb2_grpc.add_MaintenanceServiceServicer_to_server(
            MaintenanceServicer(galleries, settings.data, bundle.manifest.fingerprint, streams),
            server,
        )
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(bundle), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)


def _batcher(loaded: Bundle, settings: Settings) -> Batcher:
    """The network, once for each lane's single thread and once for all cores."""
    cores = arrange(settings.threads).cores
    narrow = Embedder.of(loaded, threads=1)
    wide = Embedder.of(loaded, cores) if cores > 1 else narrow
    limits = Limits(
        batch=settings.batch or measure(narrow),
        queue=settings.queue,
        max_wait=settings.max_wait_ms / 1000,
    )
    return Batcher(narrow.embed, wide.embed, cores, limits)
