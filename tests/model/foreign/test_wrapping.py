"""A wrapped network gives the numbers of the network run by hand."""

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mien.errors import BundleInvalid, InvalidRequest
from mien.model.embedder import Embedder
from mien.model.foreign.network import Foreign, Shape, read
from mien.model.foreign.preprocessing import (
    CHANNELS,
    LAYOUTS,
    SCALES,
    Channels,
    Layout,
    Preprocessing,
    Scale,
)
from mien.model.foreign.wrapping import wrap
from mien.model.golden import golden_crops
from mien.model.manifest import InputSpec
from mien.model.proof import check_batches
from tests.model.foreign.networks import DIM, HEIGHT, WIDTH, build, by_hand, write

CROPS = golden_crops(HEIGHT, WIDTH)
SIGNED = Preprocessing("nchw", "rgb", SCALES["signed"])


def embedder(
    path: Path, way: Preprocessing = SIGNED, output: str | None = None, flip: bool = False
) -> Embedder:
    network, dim = wrap(read(path, output), way, HEIGHT, WIDTH, flip)
    onnx.checker.check_model(onnx.load_from_string(network))
    spec = InputSpec(crop_height=HEIGHT, crop_width=WIDTH, alignment="none", dim=dim)
    return Embedder(network, spec, threads=1)


@pytest.mark.parametrize(("layout", "channels"), list(product(LAYOUTS, CHANNELS)))
@pytest.mark.parametrize(("batch", "rows"), [("batch", 0), (None, 0), (1, 0), (1, 1), (4, 4)])
@pytest.mark.parametrize("scale", SCALES)
def test_its_vectors_are_those_of_the_network_run_by_hand(
    tmp_path: Path,
    layout: Layout,
    channels: Channels,
    batch: int | str | None,
    rows: int,
    scale: str,
) -> None:
    way = Preprocessing(layout, channels, SCALES[scale])
    path = write(tmp_path, build(layout, batch, rows=rows))
    single = write_single(tmp_path, layout) if isinstance(batch, int) and batch > 1 else path
    vectors = embedder(path, way).embed(CROPS)
    np.testing.assert_allclose(vectors, by_hand(single, CROPS, way), rtol=0, atol=1e-5)


def write_single(folder: Path, layout: Layout) -> Path:
    """The same network for one picture at a time, which can be run by hand."""
    (folder / "single").mkdir()
    return write(folder / "single", build(layout, 1))


@pytest.mark.parametrize("output", ["embedding", "features"])
def test_of_several_outputs_the_one_that_is_named_is_taken(tmp_path: Path, output: str) -> None:
    path = write(tmp_path, build(outputs=("maps", "features", "embedding")))
    vectors = embedder(path, output=output).embed(CROPS)
    np.testing.assert_allclose(vectors, by_hand(path, CROPS, SIGNED, output), rtol=0, atol=1e-5)


def test_a_mirror_image_is_added_where_that_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path)
    vectors = embedder(path, flip=True).embed(CROPS)
    np.testing.assert_allclose(vectors, by_hand(path, CROPS, SIGNED, flip=True), rtol=0, atol=1e-5)
    assert np.abs(vectors - by_hand(path, CROPS, SIGNED)).max() > 0.01
    check_batches(embedder(path, flip=True))


@pytest.mark.parametrize("opset", [8, 11, 13, 18, 21])
def test_networks_of_old_and_new_opsets_are_wrapped(tmp_path: Path, opset: int) -> None:
    path = write(tmp_path, build(opset=opset))
    vectors = embedder(path).embed(CROPS)
    np.testing.assert_allclose(vectors, by_hand(path, CROPS, SIGNED), rtol=0, atol=1e-5)


def test_weights_that_are_listed_among_the_inputs_as_of_old_are_no_inputs(tmp_path: Path) -> None:
    model = build(opset=8)
    model.ir_version = 3
    for tensor in model.graph.initializer:
        shape = list(tensor.dims)
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, shape)
        )
    path = write(tmp_path, model)
    np.testing.assert_allclose(
        embedder(path).embed(CROPS), by_hand(path, CROPS, SIGNED), rtol=0, atol=1e-5
    )


def test_weights_in_a_file_of_their_own_are_taken_along(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(build(), path, save_as_external_data=True, location="net.data", size_threshold=100)
    vectors = embedder(path).embed(CROPS)
    np.testing.assert_allclose(vectors, by_hand(path, CROPS, SIGNED), rtol=0, atol=1e-5)


def test_a_batch_that_was_set_free_gives_every_crop_its_own_vector(tmp_path: Path) -> None:
    assert check_batches(embedder(write(tmp_path, build(batch=1, rows=1)))) <= 1e-6


def test_a_reshape_as_torch_writes_it_is_set_free_too(tmp_path: Path) -> None:
    model = build(batch=1, rows=1, opset=14)
    (reshape,) = [node for node in model.graph.node if node.op_type == "Reshape"]
    reshape.attribute.append(helper.make_attribute("allowzero", 1))
    path = write(tmp_path, model)
    vectors = embedder(path).embed(CROPS)
    np.testing.assert_allclose(vectors, by_hand(path, CROPS, SIGNED), rtol=0, atol=1e-5)


def test_a_batch_that_cannot_be_set_free_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, over_the_batch(build(batch=1), "ReduceMean"))
    with pytest.raises(BundleInvalid, match=r"exactly 1 pictures at a time.*dynamic batch"):
        embedder(path)


def over_the_batch(model: onnx.ModelProto, operator: str) -> onnx.ModelProto:
    """Subtract from each embedding something of all pictures of the batch."""
    model.graph.node[-1].output[0] = "own"
    model.graph.node.append(helper.make_node(operator, ["own"], ["all"], axes=[0], keepdims=1))
    model.graph.node.append(helper.make_node("Mul", ["own", "all"], ["embedding"]))
    return model


def test_a_network_whose_vectors_depend_on_the_batch_is_found_out(tmp_path: Path) -> None:
    path = write(tmp_path, over_the_batch(build(), "ReduceMean"))
    with pytest.raises(BundleInvalid, match="depends on the batch"):
        check_batches(embedder(path))


def test_several_outputs_without_a_name_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path, build(outputs=("features", "embedding")))
    with pytest.raises(InvalidRequest, match=r"several outputs: features .*embedding .*--output"):
        read(path)
    with pytest.raises(InvalidRequest, match="has no output 'logits': features"):
        read(path, "logits")


def test_an_output_that_is_no_vector_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, build(outputs=("maps", "embedding")))
    with pytest.raises(BundleInvalid, match=r"'maps' is float32 of shape \[1, 4, 12, 10\]"):
        embedder(path, output="maps")


def test_a_single_number_is_no_embedding(tmp_path: Path) -> None:
    model = build()
    model.graph.node.append(helper.make_node("ReduceMean", ["embedding"], ["score"], axes=[1]))
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])
    model.graph.output.append(score)
    path = write(tmp_path, model)
    with pytest.raises(BundleInvalid, match=r"'score' is float32 of shape \[1, 1\].* D 2 or more"):
        embedder(path, output="score")


def test_sizes_of_one_after_the_dimension_are_passed_over(tmp_path: Path) -> None:
    model = build()
    model.graph.node[-1].output[0] = "flat_embedding"
    model.graph.node.append(
        helper.make_node("Unsqueeze", ["flat_embedding", "axes"], ["embedding"])
    )
    model.graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3]))
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIM, 1, 1])
    )
    path = write(tmp_path, model)
    vectors = embedder(path).embed(CROPS)
    np.testing.assert_allclose(vectors, by_hand(path, CROPS, SIGNED), rtol=0, atol=1e-5)


def test_what_is_no_network_for_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is no file"):
        read(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(BundleInvalid, match="cannot be loaded"):
        read(tmp_path / "text.onnx")
    grey = build()
    grey.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    del grey.graph.initializer[0]
    grey.graph.initializer.append(
        helper.make_tensor("kernel", TensorProto.FLOAT, [4, 1, 3, 3], [0.0] * 36)
    )
    with pytest.raises(BundleInvalid, match="only a network for colour pictures"):
        read(write(tmp_path, grey))


def test_a_network_that_takes_something_else_is_refused(tmp_path: Path) -> None:
    flat = build()
    flat.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, [1]))
    with pytest.raises(BundleInvalid, match="one float32 input of four dimensions"):
        read(write(tmp_path, flat))


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path: Path) -> None:
    foreign = read(write(tmp_path, build(size=("h", "w"))))
    assert foreign.size("nchw") == (None, None)
    with pytest.raises(BundleInvalid, match="cannot run on pictures of shape"):
        wrap(foreign, SIGNED, 40, 40, flip=False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_shape_tells_layout_and_size(tmp_path: Path, layout: Layout) -> None:
    foreign = read(write(tmp_path, build(layout)))
    assert foreign.layouts == (layout,)
    assert foreign.size(layout) == (HEIGHT, WIDTH)
    assert foreign.precision == "float32"


@pytest.mark.parametrize(
    ("shape", "layouts"),
    [
        (("batch", 3, "h", "w"), ("nchw",)),
        ((1, "h", "w", 3), ("nhwc",)),
        (("batch", "c", "h", "w"), ("nchw", "nhwc")),
        ((None, None, 112, 112), ("nchw",)),
        ((1, 1, 112, 112), ()),
    ],
)
def test_only_layouts_that_the_shape_admits_are_thought_of(
    shape: Shape, layouts: tuple[Layout, ...]
) -> None:
    assert Foreign(build(), "pixels", shape, "embedding").layouts == layouts


def test_a_deviation_of_zero_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="divides by 0"):
        Scale((0, 0, 0), (1, 0, 1))
    with pytest.raises(InvalidRequest, match="must be finite numbers"):
        Scale((0, float("nan"), 0), (1, 1, 1))
