"""A server from its start to its end."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Self

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mien.errors import AddressInUse
from mien.gallery.galleries import Galleries
from mien.matching.decision import TargetFMR, TargetFPIR
from mien.model import built_in, bundle
from mien.model.bundle import Bundle
from mien.model.embedder import Embedder
from mien.model.pipeline import Pipeline
from mien.server.access.audit import Audit
from mien.server.access.guard import Guard, Inspector
from mien.server.access.keyring import Keyring
from mien.server.access.rates import Rates
from mien.server.access.wrong_keys import WrongKeys
from mien.server.batch_size import measure
from mien.server.batching import Batcher, Limits
from mien.server.calls.admission import CallInterceptor
from mien.server.calls.arriving import ArrivalInterceptor, Watch
from mien.server.calls.doorway import Doorway
from mien.server.calls.handlers import Handlers
from mien.server.calls.statuses import ErrorInterceptor
from mien.server.enrolling.enroller import Enroller
from mien.server.enrolling.stream import EnrolStream
from mien.server.explanations import Explanations
from mien.server.maintenance.upkeep import Upkeep
from mien.server.observing.metrics import Metrics, MetricsPort
from mien.server.observing.observer import Observer
from mien.server.probes import Probes
from mien.server.readiness import Readiness
from mien.server.servicers.embedding import EmbeddingServicer
from mien.server.servicers.gallery import GalleryServicer
from mien.server.servicers.maintenance import MaintenanceServicer
from mien.server.servicers.match import MatchServicer
from mien.server.servicers.model import ModelServicer
from mien.server.settings import Settings
from mien.server.streams import Streams
from mien.server.threads import Threads, arrange, yielding_to_the_network
from mien.server.tls import credentials
from mien.v1 import (
    embedding_pb2_grpc,
    gallery_pb2_grpc,
    maintenance_pb2_grpc,
    match_pb2_grpc,
    model_pb2_grpc,
)
from mien.vision.images import Limits as PictureLimits
from mien.vision.yunet import detector_for
from mien.wire import MAX_MESSAGE_BYTES

CALLS_IN_ALL = 4
"""Times `calls`: so many may be open, with those that are refused and those that are still being
sent. Each has a thread, so that none waits for another; gRPC refuses more, without details.
"""
STOP_SECONDS = 2.0
"""For batches that run while callers are cut off."""

PONG_SECONDS = 20.0
"""How long a connection that is tried may take to answer."""
LEAST_PING_SECONDS = 10.0
"""Callers who try the connection more often, without calls on it, are cut off (too_many_pings)."""

SERVICES = (
    "mien.v1.EmbeddingService",
    "mien.v1.MatchService",
    "mien.v1.GalleryService",
    "mien.v1.ModelService",
    "mien.v1.MaintenanceService",
)


class Server:
    """A bundle and its galleries behind a socket; serving when constructed.

    Raises BundleInvalid, DetectorMissing, DataDirectoryLocked and AddressInUse.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._closing = ExitStack()
        """Undoes what was done so far, the last first."""
        with ExitStack() as undo:
            self._start(settings, undo)
            self._closing = undo.pop_all()

    def stop(self) -> None:
        """Refuse new calls, finish the accepted ones within `drain_seconds`, close all."""
        self._readiness.draining()
        self._server.stop(self._settings.drain_seconds).wait()
        self._closing.close()

    @property
    def metrics_port(self) -> int | None:
        """Where the metrics are; None if the settings name no address for them."""
        return self._metrics_port.port if self._metrics_port else None

    def _start(self, settings: Settings, undo: ExitStack) -> None:
        loaded = bundle.load(built_in.find(settings.bundle))
        self._metrics = Metrics()
        undo.callback(self._metrics.close)
        self._doorway, self._readiness = Doorway(), Readiness(SERVICES)
        with yielding_to_the_network():
            self._server = self._grpc_server(settings, undo)
            self.port = self._listen(settings)
            undo.callback(lambda: self._server.stop(None).wait())
            self._server.start()
        threads = arrange(settings.threads)
        self.batcher = _batcher(loaded, settings, threads, self._metrics)
        undo.callback(self.batcher.close, STOP_SECONDS)
        pictures = PictureLimits(settings.max_image_bytes, settings.max_image_pixels)
        detector = detector_for(loaded.manifest.input.alignment, settings.detector_model)
        self.pipeline = Pipeline(loaded, limits=pictures, detector=detector, engine=self.batcher)
        self.streams = Streams()
        self._galleries = Galleries(settings.data, threads.cores)
        undo.callback(self._galleries.close)
        upkeep = Upkeep(self._galleries, settings.expire_seconds)
        undo.callback(upkeep.stop)
        self._metrics.watch(self.batcher, self._galleries)
        self._metrics_port = None
        if settings.metrics_address:
            self._metrics_port = MetricsPort(settings.metrics_address, self._metrics)
            undo.callback(self._metrics_port.close)
        self._add_services(settings, threads.cores)
        self._doorway.open()
        self._readiness.ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _grpc_server(self, settings: Settings, undo: ExitStack) -> grpc.Server:
        """A server that knows its interceptors, health, and that services will come."""
        audit = Audit(settings.audit) if settings.audit else None
        if audit:
            undo.callback(audit.close)
        keyring = Keyring(settings.keys) if settings.keys else None
        rates = Rates(settings.calls_per_second, settings.calls_burst)
        watch = Watch(settings.receive_seconds, settings.idle_seconds)
        undo.callback(watch.close)
        self._arrival = ArrivalInterceptor(watch, settings.calls)
        most = CALLS_IN_ALL * settings.calls
        server = grpc.server(
            ThreadPoolExecutor(most, thread_name_prefix="mien"),
            handlers=[self._doorway],
            interceptors=[
                Handlers(self._doorway),
                Observer(self._metrics),
                ErrorInterceptor(),
                Guard(keyring, WrongKeys(settings.wrong_keys_per_minute), rates, audit),
                self._arrival,
                Inspector(),
                CallInterceptor(settings.calls),
            ],
            options=_options(settings),
            maximum_concurrent_rpcs=most,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._readiness, server)
        if settings.reflection:
            names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        return server

    def _listen(self, settings: Settings) -> int:
        secrets = credentials(settings)
        try:
            if secrets:
                return self._server.add_secure_port(settings.address, secrets)
            return self._server.add_insecure_port(settings.address)
        except RuntimeError:
            raise AddressInUse(
                f"cannot listen on {settings.address}: it is in use or not this machine's; "
                "choose another port (0 for any free one)"
            ) from None

    def _add_services(self, settings: Settings, cores: int) -> None:
        bundle, galleries = self.pipeline.bundle, self._galleries
        server: Any = self._doorway
        fmr, fpir = (
            TargetFMR(settings.default_target_fmr),
            TargetFPIR(settings.default_target_fpir),
        )
        probes, streams = Probes(self.pipeline, galleries), self.streams
        enroller = Enroller(probes, galleries, fmr)
        enrol_stream = EnrolStream(enroller, streams, cores)
        explanations = Explanations(bundle, galleries)
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(
            EmbeddingServicer(probes, explanations, streams, fmr), server
        )
        match_pb2_grpc.add_MatchServiceServicer_to_server(
            MatchServicer(probes, galleries, explanations, streams, fpir, default_fmr=fmr), server
        )
        gallery_pb2_grpc.add_GalleryServiceServicer_to_server(
            GalleryServicer(bundle, galleries, enroller, enrol_stream), server
        )
        maintenance_pb2_grpc.add_MaintenanceServiceServicer_to_server(
            MaintenanceServicer(galleries, settings.data, bundle.manifest.fingerprint, streams),
            server,
        )
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(bundle), server)


def _options(settings: Settings) -> list[tuple[str, int]]:
    """gRPC's own limits."""
    return [
        ("grpc.so_reuseport", 0),  # or a second server would share the port without a word
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_concurrent_streams", settings.max_streams),
        # For each call that a caller gives up it would take fewer of that connection, and in 1.85
        # at last none at all, for ever; `Unread` and `most` hold back whoever does so on purpose.
        ("grpc.http.overload_protection", 0),
        ("grpc.keepalive_time_ms", round(1000 * settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", round(1000 * PONG_SECONDS)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", round(1000 * LEAST_PING_SECONDS)),
        ("grpc.http2.max_ping_strikes", 2),
    ]


def _batcher(loaded: Bundle, settings: Settings, threads: Threads, metrics: Metrics) -> Batcher:
    """The network, once for each lane's single thread and once for all cores."""
    cores = threads.cores
    narrow = Embedder.of(loaded, threads=1)
    wide = Embedder.of(loaded, cores, threads.apart) if cores > 1 else narrow
    limits = Limits(
        batch=settings.batch or measure(narrow),
        queue=settings.queue,
        max_wait=settings.max_wait_ms / 1000,
    )
    return Batcher(metrics.batches(narrow.embed), metrics.batches(wide.embed), cores, limits)
