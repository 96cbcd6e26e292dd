"""Networks as ONNX files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from netvlad.describe.network import NetworkDescriber, evaluating
from netvlad.describe.onnx_describer import FORMAT, PIXELS, SETTINGS, VECTORS, OnnxDescriber
from netvlad.errors import ModelError, NetvladError, first_line
from netvlad.export.names import refuse_existing
from netvlad.export.precision import PRECISIONS, to_float16, to_int8
from netvlad.runtime.files import atomic
from netvlad.types import Describer, needs_fit

OPSET = 17
TOLERANCE = 1e-4  # largest difference of a number of a vector from PyTorch's
CALIBRATION = 64  # photos
SIDES = ((0, 1), (19, 40), (64, 31), (49, 97))  # of photos that are compared: so much more than the least


class _Chain(nn.Module):
    """(N, H, W, 3) uint8 RGB -> (N, dim): normalisation of pixels, backbone, pooling, whitening."""

    mean: Tensor
    scale: Tensor

    def __init__(self, model: NetworkDescriber) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", 255 * torch.tensor(model.backbone.mean).view(3, 1, 1))
        self.register_buffer("scale", 255 * torch.tensor(model.backbone.std).view(3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.model((pixels.permute(0, 3, 1, 2).float() - self.mean) / self.scale)
        return found


def export_onnx(model: Describer, file: Path, precision: str = "float32", photos: Sequence[str] = ()) -> None:
    """Write a network as ONNX (opset 17), for any number of photos of any size, and how photos are scaled for it.

    precision: float32, float16 or int8 of the backbone; `photos` show int8 the ranges of values, and at most 64 of them
    are read. In float32 the file is compared with PyTorch on photos of several sizes before it is kept, and what is
    smaller is made of that. Raises ModelError for a model that cannot be exported or differs, NetvladError where the
    file exists, for another precision, and for int8 without photos or photos without int8; ImageError for a photo that
    cannot be read.
    """
    if precision not in PRECISIONS:
        raise NetvladError(f"no precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    if (precision == "int8") != bool(len(photos)):
        raise NetvladError("int8 is calibrated on photos like those to come, and nothing else is")
    checked = exportable(model)
    refuse_existing(file)
    device = checked.device
    checked.to("cpu")
    try:
        with evaluating(checked), atomic(file) as temporary:
            _write(checked, temporary)
            _compare(checked, OnnxDescriber(temporary))
            if precision == "float16":
                to_float16(temporary)
            elif precision == "int8":
                to_int8(temporary, photos[:: -(-len(photos) // CALIBRATION)], checked.resize)
    finally:
        checked.to(device)


def exportable(model: Describer) -> NetworkDescriber:
    """The model, if it can be written as ONNX. Raises ModelError with the reason otherwise."""
    if not isinstance(model, NetworkDescriber):
        raise ModelError(f"{model.name} is no network of this package, and cannot be exported to ONNX")
    if needs_fit(model):
        raise ModelError(f"{model.name} has no centres yet: `netvlad fit` it, or export the model of a map")
    if model.backbone.multiple > 1:
        raise ModelError(f"{model.name} scales photos to whole patches inside, which is not exported to ONNX")
    return model


@torch.inference_mode()
def _write(model: NetworkDescriber, file: Path) -> None:
    """Trace the network. torch's newer exporter takes minutes, and does not carry over padding by a photo's size."""
    try:
        import onnx
    except ImportError as e:
        raise ModelError("ONNX files need the extra onnx: pip install 'netvlad[onnx]'") from e
    side = max(64, 2 * model.smallest)
    example = torch.zeros(1, side, side + 33, 3, dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the exporter is the older one, and of checks of sizes
            torch.onnx.export(
                _Chain(model).eval(),
                (example,),
                str(file),
                input_names=[PIXELS],
                output_names=[VECTORS],
                dynamic_axes={PIXELS: {0: "n", 1: "height", 2: "width"}, VECTORS: {0: "n"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as e:  # the exporter raises whatever its passes do
        raise ModelError(f"{model.name} cannot be exported ({first_line(e)})") from e
    written = onnx.load(file)
    settings = {"format": FORMAT, "name": model.name, "dim": model.dim, "resize": model.resize, "opset": OPSET}
    settings["smallest"] = model.smallest
    onnx.helper.set_model_props(written, {SETTINGS: json.dumps(settings)})
    onnx.save(written, file)


def _compare(model: NetworkDescriber, found: OnnxDescriber) -> None:
    """Raise ModelError where the two differ: a trace may hold what was true of the size of its example alone."""
    rng = np.random.default_rng(0)
    for height, width in SIDES:
        photo = rng.integers(0, 256, (model.smallest + height, model.smallest + width, 3), np.uint8)
        worst = float(np.abs(found.describe([photo]) - model.describe([photo])).max())
        if not worst <= TOLERANCE:
            raise ModelError(f"{model.name}: vectors of the ONNX network differ from PyTorch's by {worst:.1e}")
