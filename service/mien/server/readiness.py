"""What `grpc.health.v1` is told, from the first moment to the last.

LIVE serves as long as the process answers at all. The server as a whole ("") and each service
serve when the model is warm, its golden vectors were right and the galleries are there, until the
server was told to stop.
"""

from collections.abc import Sequence

from grpc_health.v1 import health, health_pb2

LIVE = "live"


class Readiness(health.HealthServicer):
    """The servicer of the health protocol."""

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__()
        self._services = ("", *services)
        self.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)

    def ready(self) -> None:
        self._tell(health_pb2.HealthCheckResponse.SERVING)

    def draining(self) -> None:
        self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)

    def _tell(self, status: int) -> None:
        for service in self._services:
            self.set(service, status)
