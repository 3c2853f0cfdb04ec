"""The same ONNX file behind LitServe, and behind FastAPI with onnxruntime, each written as its
documentation says; both decode and crop pictures by the same code as mien.

    python rivals.py litserve|fastapi NETWORK HEIGHT WIDTH PORT

https://lightning.ai/docs/litserve/features/batching: `max_batch_size` and `batch_timeout`, with
requests of one picture each gathered in `batch`. https://fastapi.tiangolo.com/async/: a plain `def`
endpoint runs in a pool of threads. https://onnxruntime.ai/docs/get-started/with-python.html: a
session with its defaults.
"""

import base64
import sys

import litserve
import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from mien.vision.crops import crop
from mien.vision.images import decode

BATCH, BATCH_TIMEOUT = 16, 0.01


class Pictures(BaseModel):
    images: list[str]


class Network:
    def __init__(self, network: str, height: int, width: int) -> None:
        self.session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
        self.size = height, width

    def crops(self, images: list[str]) -> np.ndarray:
        return np.stack([crop(decode(base64.b64decode(image)), *self.size) for image in images])

    def vectors(self, crops: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"crops": crops})[0]


class Lit(litserve.LitAPI):
    def __init__(self, arguments: tuple[str, int, int]) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=BATCH_TIMEOUT)
        self.arguments = arguments

    def setup(self, device: str) -> None:
        self.network = Network(*self.arguments)

    def decode_request(self, request: dict) -> np.ndarray:
        return self.network.crops(request["images"])

    def batch(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return inputs

    def predict(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        vectors = self.network.vectors(np.concatenate(inputs))
        return np.split(vectors, np.cumsum([len(each) for each in inputs])[:-1])

    def unbatch(self, output: list[np.ndarray]) -> list[np.ndarray]:
        return output

    def encode_response(self, output: np.ndarray) -> dict:
        return {"embeddings": output.tolist()}


def lit(arguments: tuple[str, int, int], port: int) -> None:
    server = litserve.LitServer(Lit(arguments), accelerator="cpu", timeout=60)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")


def fast(arguments: tuple[str, int, int], port: int) -> None:
    app, network = FastAPI(), Network(*arguments)

    @app.post("/predict")
    def predict(pictures: Pictures) -> dict:
        return {"embeddings": network.vectors(network.crops(pictures.images)).tolist()}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    name, path, *numbers = sys.argv[1:]
    height, width, port = map(int, numbers)
    {"litserve": lit, "fastapi": fast}[name]((path, height, width), port)
