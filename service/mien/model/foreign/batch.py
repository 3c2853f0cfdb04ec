"""A network for a fixed number of pictures, made to take any number where that can be proved."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.errors import BundleInvalid
from mien.model.embedder import refusing, session
from mien.model.foreign.network import Foreign, Shape

Floats = npt.NDArray[np.float32]

TRIED = 3
"""Pictures in the batch by which it is proved that a fixed batch has become a dynamic one."""
SAME = 1e-5
"""Largest difference then, relative to the largest value of an output."""
LARGEST_PIXEL = 2.0
"""The pictures are noise in [-2, 2], as normalised pixels are."""


def with_any_batch(foreign: Foreign, picture: Sequence[int]) -> tuple[onnx.ModelProto, int]:
    """The network with a batch of any size for pictures of this shape, and its dimension.

    Where the batch is fixed, it is set free, together with the reshapes that repeat its size; then
    several pictures at once must give what the network as it was gives for each.

    Raises BundleInvalid: it does not run, gives no vectors, or gives others with several pictures.
    """
    batch = foreign.shape[0]
    fixed = batch if isinstance(batch, int) else None
    noise = np.random.default_rng(0).uniform(-1, 1, (TRIED, *picture)) * LARGEST_PIXEL
    pictures = noise.astype(np.float32)
    original = with_input(foreign, (batch, *picture))
    each = [_run(original, foreign, np.stack([one] * (fixed or 1))) for one in pictures]
    dim = _dimension(foreign, each[0], fixed or 1)
    free = with_input(foreign, ("batch", *picture))
    free.graph.output[0].CopyFrom(
        helper.make_tensor_value_info(foreign.gives, TensorProto.FLOAT, [None] * each[0].ndim)
    )
    if fixed is not None:
        _free_reshapes(free.graph, fixed)
        _check_several(foreign, free, pictures, np.stack([one.reshape(-1, dim)[0] for one in each]))
    return free, dim


def with_input(foreign: Foreign, shape: Shape) -> onnx.ModelProto:
    """The same network for pictures of this shape."""
    model = onnx.ModelProto()
    model.CopyFrom(foreign.model)
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info(foreign.takes, TensorProto.FLOAT, list(shape))
    )
    return model


def _run(model: onnx.ModelProto, foreign: Foreign, pictures: Floats) -> Floats:
    loaded = session(model.SerializeToString())
    with refusing(f"cannot run on pictures of shape {list(pictures.shape)}"):
        (given,) = loaded.run([foreign.gives], {foreign.takes: pictures})
    return np.asarray(given)


def _dimension(foreign: Foreign, given: Floats, batch: int) -> int:
    """Of the vectors; sizes of 1 after it are passed over."""
    dim = given.size // batch
    if (
        given.dtype != np.float32
        or given.ndim < 2
        or given.shape[0] != batch
        or (max(given.shape[1:]) != dim)
        or dim < 2  # of one number all that L2 leaves is its sign
    ):
        raise BundleInvalid(
            f"the output {foreign.gives!r} is {given.dtype} of shape {list(given.shape)} for "
            f"{batch} pictures; an embedding is float32 [batch, D], D 2 or more; name another "
            "with --output"
        )
    return dim


def _check_several(
    foreign: Foreign, free: onnx.ModelProto, pictures: Floats, expected: Floats
) -> None:
    try:
        given = _run(free, foreign, pictures)
    except BundleInvalid as error:
        problem = str(error)
    else:
        most = SAME * float(np.abs(expected).max())
        if given.size == expected.size and np.allclose(
            given.reshape(expected.shape), expected, rtol=0, atol=most
        ):
            return
        problem = f"with {TRIED} at once it gives others than with each alone"
    raise BundleInvalid(
        f"the network is made for exactly {foreign.shape[0]} pictures at a time, and setting that "
        f"free fails ({problem}); export it again with a dynamic batch"
    )


def _free_reshapes(graph: onnx.GraphProto, batch: int) -> None:
    """Let each reshape whose first size is that of the batch take it from what it reshapes.

    In the shape of a Reshape a 0 means the size that is there, once `allowzero` is gone.
    """
    constants = _constants(graph)
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        shape = constants[node.input[1]]
        if shape.ndim == 1 and len(shape) > 1 and shape[0] == batch and 0 not in shape:
            name = f"{node.output[0]}/shape"
            freed = np.concatenate([[0], shape[1:]]).astype(np.int64)
            graph.initializer.append(numpy_helper.from_array(freed, name))
            node.input[1] = name
            for attribute in [each for each in node.attribute if each.name == "allowzero"]:
                node.attribute.remove(attribute)


def _constants(graph: onnx.GraphProto) -> dict[str, npt.NDArray[np.int64]]:
    """What is known before anything runs, by name."""
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        values = [each.t for each in node.attribute if each.name == "value"]
        if node.op_type == "Constant" and values:
            found[node.output[0]] = numpy_helper.to_array(values[0])
    return found
