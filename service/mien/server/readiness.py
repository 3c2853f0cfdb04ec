"""What `grpc.health.v1` is told, from the first moment to the last.

LIVE serves as long as the process answers at all. The server as a whole ("") and each service
serve when the model is warm, its golden vectors were right and the galleries are there, until the
server was told to stop.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from mien.server.streams import Streams

LIVE = "live"
MAX_WATCHES = 16
"""Calls of Watch at a time: each keeps a thread, and health asks nobody who he is."""
_UNKNOWN = "?"
"""What is watched instead of a service that there is not: a servicer never forgets a name."""


class Readiness(health.HealthServicer):
    """The servicer of the health protocol."""

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__(experimental_non_blocking=False)
        self._watches = Streams(MAX_WATCHES)
        self._services = ("", *services)
        self.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - its name
        """HealthListRequest to HealthListResponse, which the stubs of the package lack."""
        known = (LIVE, *self._services)
        asked = {name: health_pb2.HealthCheckRequest(service=name) for name in known}
        statuses = {name: self.Check(each, context) for name, each in asked.items()}
        messages: Any = health_pb2
        return messages.HealthListResponse(statuses=statuses)

    def Watch(  # type: ignore[override]  # noqa: N802 - a generator where the base has its own
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        """Raises TooManyStreams."""
        known = request.service in (LIVE, *self._services)
        name = request.service if known else _UNKNOWN
        with self._watches.place():
            yield from super().Watch(health_pb2.HealthCheckRequest(service=name), context)

    def ready(self) -> None:
        self._tell(health_pb2.HealthCheckResponse.SERVING)

    def draining(self) -> None:
        self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)

    def _tell(self, status: int) -> None:
        for service in self._services:
            self.set(service, status)
