"""ONNX networks of smaller numbers: float16 and int8. The tools are onnxruntime's."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from netvlad.describe.onnx_describer import PIXELS
from netvlad.errors import ModelError, first_line
from netvlad.images.read import read_image

PRECISIONS = ("float32", "float16", "int8")
BACKBONE = "/model/backbone/"  # what the names of its nodes begin with
QUANTISED = ("Conv", "Clip", "Relu", "Add", "MaxPool", "Pad")

FLOAT_PART = 4  # of the convolutions the first 4th stay float: there few channels carry all, and int8 loses most


def to_float16(file: Path) -> None:
    """Make the backbone of the network in `file` float16; pooling and whitening stay float32, as do pixels and vectors.

    How much a photo is padded is worked out in float32 still: float16 has no odd number above 2048.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    network = onnx.load(file)
    maps = _maps(network)
    kept = [n.name for n in network.graph.node if n.name not in maps and n.op_type not in ("Shape", "Constant")]
    converted = convert_float_to_float16(network, keep_io_types=True, node_block_list=kept)
    _skip_rounding(converted)
    onnx.save(converted, file)


def to_int8(file: Path, photos: Sequence[str], resize: int | None) -> None:
    """Make the backbone of the network in `file` int8, weights by channel, ranges of maps as `photos` show them.

    Its first layers, pooling and whitening stay float32. resize: longest side in pixels that photos are scaled down to.
    Weights have no sign: sums of products with signed ones overflow on processors without VNNI. Raises ImageError for
    a photo that cannot be read, ModelError where the network cannot be quantised.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Photos(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(photos)

        def get_next(self) -> dict[str, Any] | None:
            path = next(self.rest, None)
            return None if path is None else {PIXELS: read_image(path, resize=resize)[None]}

    network = onnx.load(file)
    _name_shared(network)
    onnx.save(network, file)
    maps = _maps(network)
    nodes = [n for n in network.graph.node if n.name in maps and n.op_type in QUANTISED]
    convolutions = [place for place, node in enumerate(nodes) if node.op_type == "Conv"]
    chosen = [node.name for node in nodes[convolutions[len(convolutions) // FLOAT_PART] :]]
    logging.getLogger().addFilter(_quiet)  # of a step that the exporter has done, and of channels that are constant
    try:
        with TemporaryDirectory() as folder:
            made = Path(folder) / "int8.onnx"
            quantize_static(
                str(file),
                str(made),
                Photos(),
                nodes_to_quantize=chosen,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QUInt8,
            )
            shutil.copyfile(made, file)
    except (ValueError, RuntimeError) as e:
        raise ModelError(f"cannot be made int8 ({first_line(e)})") from e
    finally:
        logging.getLogger().removeFilter(_quiet)


def _skip_rounding(network: Any) -> None:
    """Let float32 pass between nodes that stay float32: the converter rounds what each of them gives to float16."""
    import onnx

    def casts(to: int) -> list[Any]:
        return [n for n in network.graph.node if n.op_type == "Cast" and n.attribute[0].i == to]

    halves = {n.output[0]: n for n in casts(onnx.TensorProto.FLOAT16)}
    for node in casts(onnx.TensorProto.FLOAT):
        if node.input[0] in halves:
            node.input[0] = halves[node.input[0]].input[0]
    used = {name for node in network.graph.node for name in node.input} | {one.name for one in network.graph.output}
    for name, node in halves.items():
        if name not in used:
            network.graph.node.remove(node)


def _name_shared(network: Any) -> None:
    """Let nodes name numbers that they share, such as equal biases, and not copies of them that nodes give.

    A bias that no initializer holds would stay float, and with it its convolution.
    """
    held = {tensor.name for tensor in network.graph.initializer}
    copies = [n for n in network.graph.node if n.op_type == "Identity" and n.input[0] in held]
    names = {n.output[0]: n.input[0] for n in copies}
    for node in copies:
        network.graph.node.remove(node)
    for node in network.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _quiet(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    return "pre-processing" not in said and "exceeds the range of a int32" not in said


def _maps(network: Any) -> set[str]:
    """Names of the backbone's nodes that give feature maps, and not how wide a padding is."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(network)
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in inferred.graph.value_info}
    return {n.name for n in network.graph.node if n.name.startswith(BACKBONE) and ranks.get(n.output[0]) == 4}
