"""Foreign networks made by code, and what they give when they are run by hand."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from mien.model.foreign.preprocessing import Layout, Preprocessing

HEIGHT, WIDTH, DIM = 12, 10, 6

Floats = npt.NDArray[np.float32]


def build(
    layout: Layout = "nchw",
    batch: int | str | None = "batch",
    size: tuple[int | str, int | str] = (HEIGHT, WIDTH),
    outputs: tuple[str, ...] = ("embedding",),
    rows: int = 0,
    opset: int = 13,
    scale: float = 1.0,
) -> onnx.ModelProto:
    """Convolution, ReLU, flatten to `rows` rows (0: as many as pictures), linear layer.

    Outputs are "embedding" [batch, 6], "features" before the linear layer, and "maps" before that.
    """
    random = np.random.default_rng(5)
    constants = {
        "kernel": random.normal(size=(4, 3, 3, 3)).astype(np.float32) * scale,
        "kernel_bias": random.normal(size=4).astype(np.float32),
        "flat": np.array([rows, 4 * HEIGHT * WIDTH]),
        "weights": random.normal(size=(4 * HEIGHT * WIDTH, DIM)).astype(np.float32) / 20,
        "bias": random.normal(size=DIM).astype(np.float32),
    }
    order = [0, 3, 1, 2] if layout == "nhwc" else [0, 1, 2, 3]
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["turned"], perm=order),
        helper.make_node("Conv", ["turned", "kernel", "kernel_bias"], ["raw"], pads=[1] * 4),
        helper.make_node("Relu", ["raw"], ["maps"]),
        helper.make_node("Reshape", ["maps", "flat"], ["features"]),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["embedding"]),
    ]
    shape = [batch, 3, *size] if layout == "nchw" else [batch, *size, 3]
    shapes = {
        "embedding": [batch, DIM],
        "features": [batch, 4 * HEIGHT * WIDTH],
        "maps": [batch, 4, *size],
    }
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shapes[n]) for n in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def write(folder: Path, model: onnx.ModelProto | None = None) -> Path:
    path = folder / "net.onnx"
    onnx.save(build() if model is None else model, path)
    return path


def by_hand(
    path: Path,
    crops: npt.NDArray[np.uint8],
    way: Preprocessing,
    output: str = "embedding",
    flip: bool = False,
) -> Floats:
    """What the network itself gives, a picture at a time, normalised."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    vectors = []
    for crop in crops:
        looks = [crop, crop[:, ::-1]] if flip else [crop]
        raw = sum(
            session.run([output], {session.get_inputs()[0].name: _prepared(look, way)})[0].ravel()
            for look in looks
        )
        vectors.append(raw / np.linalg.norm(raw))
    return np.stack(vectors)


def _prepared(crop: npt.NDArray[np.uint8], way: Preprocessing) -> Floats:
    """The picture as people prepare it with NumPy."""
    pixels = (crop.astype(np.float32) - np.array(way.scale.mean, np.float32)) / np.array(
        way.scale.std, np.float32
    )
    if way.channels == "bgr":
        pixels = pixels[:, :, ::-1]
    if way.layout == "nchw":
        pixels = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(pixels[None])
