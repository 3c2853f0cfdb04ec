"""What Prometheus is told, on a port of its own.

Labels are bounded: methods are those of the table of access, codes and reasons are closed lists,
and of galleries the first MOST_GALLERIES by id have a label, all others together one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mien import stages
from mien.errors import AddressInUse
from mien.gallery.galleries import Galleries
from mien.gallery.records import GalleryInfo
from mien.matching.metrics import Vectors
from mien.server.access.table import TABLE
from mien.server.batching import Batcher
from mien.server.settings import parse_address

MOST_GALLERIES = 100
OTHERS = "_others"
"""No id of a gallery begins so."""
OTHER_METHOD = "other"
PAGE = 1000
READER_SECONDS = 10.0
"""Whoever keeps the metrics waiting for so long is cut off: each has a thread."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """One server's numbers, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._calls = Counter(
            "mien_calls", "Calls that have ended.", ["method", "code"], registry=registry
        )
        self._refusals = Counter(
            "mien_refusals", "Calls that were refused.", ["reason"], registry=registry
        )
        self._open = Gauge("mien_calls_open", "Calls that are being answered.", registry=registry)
        self._seconds = Histogram(
            "mien_call_seconds",
            "From the arrival of a call to its end.",
            ["method"],
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "mien_stage_seconds",
            "A stage of an answer: wait (for a thread), decode, detect, align, embed, network, "
            "search, enroll.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "mien_batch_size", "Crops in a run of the network.", buckets=SIZES, registry=registry
        )
        # Looking one up by its labels takes as long as counting: each is looked up once.
        self._calls_of = cache(self._calls.labels)
        self._seconds_of = cache(self._seconds.labels)
        self._stage_of = cache(self._stages.labels)
        stages.listen(self.stage)

    def close(self) -> None:
        stages.ignore(self.stage)

    def began(self, waited: float) -> None:
        """A call got a thread, after so many seconds."""
        self._open.inc()
        self.stage("wait", waited)

    def ended(self, method: str, code: str, seconds: float, reason: str | None) -> None:
        method = method if method in TABLE else OTHER_METHOD
        self._open.dec()
        self._calls_of(method, code).inc()
        self._seconds_of(method).observe(seconds)
        if reason:
            self._refusals.labels(reason).inc()

    def stage(self, name: str, seconds: float) -> None:
        self._stage_of(name).observe(seconds)

    def batches(
        self, embed: Callable[[npt.NDArray[np.uint8]], Vectors]
    ) -> Callable[[npt.NDArray[np.uint8]], Vectors]:
        """The same function; its batches are counted."""

        def counted(crops: npt.NDArray[np.uint8]) -> Vectors:
            self._batches.observe(len(crops))
            with stages.timed("network"):
                return embed(crops)

        return counted

    def watch(self, batcher: Batcher, galleries: Galleries) -> None:
        """Tell of the queue and of the galleries, too, as they are whenever somebody looks."""
        self.registry.register(_Queue(batcher))
        self.registry.register(_Galleries(galleries))


@dataclass(eq=False)
class _Queue(Collector):
    batcher: Batcher

    def collect(self) -> Iterator[Metric]:
        counts = self.batcher.counts()
        yield GaugeMetricFamily("mien_queue", "Crops that wait.", value=counts.waiting)
        crops = CounterMetricFamily("mien_crops", "Crops by what became of them.", labels=["what"])
        for what in ("embedded", "dropped", "refused"):
            crops.add_metric([what], getattr(counts, what))
        yield crops


@dataclass(eq=False)
class _Galleries(Collector):
    galleries: Galleries

    def describe(self) -> Iterator[Metric]:
        """Nothing: or all galleries would be read when this is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        subjects = GaugeMetricFamily("mien_gallery_subjects", "Enrolled.", labels=["gallery"])
        samples = GaugeMetricFamily("mien_gallery_samples", "Enrolled.", labels=["gallery"])
        others = [0, 0]
        for number, info in enumerate(self._all()):
            if number < MOST_GALLERIES:
                subjects.add_metric([info.gallery_id], info.subjects)
                samples.add_metric([info.gallery_id], info.samples)
            else:
                others = [others[0] + info.subjects, others[1] + info.samples]
        subjects.add_metric([OTHERS], others[0])
        samples.add_metric([OTHERS], others[1])
        yield from (subjects, samples)

    def _all(self) -> Iterator[GalleryInfo]:
        after = ""
        while page := self.galleries.page(after, PAGE):
            yield from page
            after = page[-1].gallery_id


class MetricsPort:
    """An HTTP server of the metrics, until `close`. Raises AddressInUse and SettingsInvalid."""

    def __init__(self, address: str, metrics: Metrics) -> None:
        host, port = parse_address(address)
        try:
            self._server, self._thread = start_http_server(port, host, metrics.registry)
        except OSError as error:
            raise AddressInUse(
                f"cannot offer metrics on {address}: {error.strerror}; choose another address"
            ) from None
        handler: Any = self._server.RequestHandlerClass
        handler.timeout = READER_SECONDS  # of socketserver's StreamRequestHandler
        self.port: int = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
