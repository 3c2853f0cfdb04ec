"""A lone picture and a lone search on all cores, over a socket."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.client import Client
from mien.gallery.index import scan
from mien.gallery.index.nearest import nearest
from mien.model import embedder
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from tests import bundles
from tests.faces import encoded
from tests.model.watched import Watched

CORES = sorted(os.sched_getaffinity(0))

pytestmark = pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")


def test_each_thread_of_a_lone_picture_is_kept_on_a_core(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide: list[Watched] = []
    real = embedder.session

    def session(network: str, threads: int, apart: Any) -> Any:
        made = real(network, threads, apart)
        if threads == 1:
            return made
        assert (threads, sorted(apart)) == (len(CORES), CORES)
        wide.append(Watched(made))
        return wide[0]

    monkeypatch.setattr(embedder, "session", session)
    with Server(Settings(bundle.folder, tmp_path / "data", port=0)) as server:
        (watched,) = wide
        watched.cores.clear()
        with Client(f"127.0.0.1:{server.port}") as client:
            client.embed([encoded(0, 0)])
    assert watched.cores == [{CORES[0]}]


def test_a_lone_search_is_divided(
    client: Client, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []

    def noted(probes: np.ndarray, vectors: np.ndarray, k: int) -> Any:
        lengths.append(len(vectors))
        return nearest(probes, vectors, k)

    monkeypatch.setattr(scan, "PART", 4 * bundles.DIM)
    monkeypatch.setattr(scan, "nearest", noted)
    (face,) = client.identify(gallery, encoded(1, 9)).faces
    assert face.candidates[0].subject_id == "person-1"
    assert len(lengths) == min(len(CORES), 15)
    assert sum(lengths) == 15
