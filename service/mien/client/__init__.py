"""A typed client: pictures, vectors or subjects in, the contract's messages out.

`Client` waits for its answers, `AsyncClient` is awaited; both have the same calls, from one list
(`mien.client.rpcs`). Errors are the same exceptions that the server's rooms raise (`mien.errors`).
"""

from mien.client.aio import AsyncClient
from mien.client.attempts import DEADLINE_SECONDS
from mien.client.client import Client
from mien.client.requests import Picture, Probe, enrolment, picture
from mien.client.requests import identify as search

__all__ = [
    "DEADLINE_SECONDS",
    "AsyncClient",
    "Client",
    "Picture",
    "Probe",
    "enrolment",
    "picture",
    "search",
]
