"""Embed over gRPC with nothing around it: what gRPC and the network cost, and no service.

    python floor.py BUNDLE

It parses, decodes, embeds by the batcher of `mien serve` and answers; no keys, limits, deadlines,
metrics or request ids, no refusals. Memory and threads are arranged as there. Prints its address,
then serves.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np

from mien.cli.serve import ARENAS
from mien.model import bundle as bundles
from mien.model.bundle import Bundle
from mien.model.embedder import Embedder
from mien.server.batch_size import measure
from mien.server.batching import Batcher, Limits
from mien.server.memory import begin_in_large_pages, share_arenas
from mien.server.messages import write_embedding
from mien.server.settings import Settings
from mien.server.threads import arrange, yielding_to_the_network
from mien.v1 import embedding_pb2, embedding_pb2_grpc
from mien.vision.crops import crop
from mien.vision.images import decode


class Floor(embedding_pb2_grpc.EmbeddingServiceServicer):
    def __init__(self, bundle: Bundle) -> None:
        threads, usual = arrange(), Settings()
        narrow = Embedder.of(bundle, threads=1)
        wide = Embedder.of(bundle, threads.cores, threads.apart)
        limits = Limits(measure(narrow), usual.queue, usual.max_wait_ms / 1000)
        self._batcher = Batcher(narrow.embed, wide.embed, threads.cores, limits)
        self._bundle = bundle

    def Embed(  # noqa: N802 - the contract's name
        self, request: embedding_pb2.EmbedRequest, _: grpc.ServicerContext
    ) -> embedding_pb2.EmbedResponse:
        spec = self._bundle.manifest.input
        size = spec.crop_height, spec.crop_width
        crops = np.array([crop(decode(image.content), *size) for image in request.images])
        response = embedding_pb2.EmbedResponse(model_fingerprint=self._bundle.manifest.fingerprint)
        for index, vector in enumerate(self._batcher.embed(crops)):
            embedded = embedding_pb2.Embedded(embedding=write_embedding(vector, self._bundle))
            response.items.add(index=index, ok=embedded)
        return response


def main(folder: str) -> None:
    floor = Floor(bundles.load(Path(folder)))
    with yielding_to_the_network():
        server = grpc.server(ThreadPoolExecutor(16))
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(floor, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    begin_in_large_pages()
    share_arenas(ARENAS)
    main(*sys.argv[1:])
