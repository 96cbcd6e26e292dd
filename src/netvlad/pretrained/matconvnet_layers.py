"""The layers of a MatConvNet network as its .mat file lists them, and the backbone that they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from netvlad.errors import ModelError
from netvlad.pretrained.matlab import CLASS
from netvlad.types import Array

BACKBONE_TYPES = ("conv", "relu", "pool", "normalize", "lrn")
WHOLE_L2 = ("layerWholeL2Normalize", "postL2", "finalL2", "wholeL2")  # by its class, or by its name in a struct
LayerSpec: TypeAlias = dict[str, Any]  # name, type and settings of a layer, as a card holds them
DEFAULT_LRN = (5, 1, 0.0001 / 5, 0.75)  # vl_simplenn_tidy's


@dataclass(frozen=True)
class Layer:
    """A layer of a file. place: its number, from 1 as in MATLAB."""

    file: Path
    place: int
    fields: dict[str, Any]

    @property
    def name(self) -> str:
        return self.fields.get("name") or self.fields.get(CLASS) or f"layer{self.place}"

    @property
    def type(self) -> str:
        return self.fields.get("type") or ("custom" if CLASS in self.fields else "none")

    @property
    def weights(self) -> list[Array]:
        found = self.fields.get("weights")
        if found is None:  # before MatConvNet 1.0-beta17
            found = [self.fields.get("filters"), self.fields.get("biases")]
        return [np.asarray(w, np.float32) for w in found if w is not None] if isinstance(found, list) else []

    @property
    def is_whole_l2(self) -> bool:
        return self.type == "custom" and (self.fields.get(CLASS) in WHOLE_L2 or self.name in WHOLE_L2)

    def numbers(self, field: str, default: float, n: int) -> list[float]:
        """A field that holds one number, or `n` of them."""
        values = np.asarray(self.fields.get(field, default), dtype=float).ravel().tolist() or [default]
        if len(values) not in (1, n):
            raise self.error(f"has {len(values)} numbers as its {field}", f"1 or {n} would be right")
        return values * n if len(values) == 1 else values

    def error(self, what: str, right: str) -> ModelError:
        """A ModelError that says what is wrong with this layer, and what would be right."""
        return ModelError(f"layer {self.place}, {self.name!r} of type {self.type!r}, {what}; {right}", path=self.file)


def list_layers(file: Path, net: Any) -> list[Layer]:
    """The layers of `net`, as `read_mat` returns it. Raises ModelError where it has none."""
    found = net.get("layers") if isinstance(net, dict) else None
    if not isinstance(found, list) or not found or not all(isinstance(part, dict) for part in found):
        reason = "its `net` has no list of layers; a SimpleNN network of MatConvNet has one, a DagNN has not"
        raise ModelError(reason, path=file)
    return [Layer(file, place, part) for place, part in enumerate(found, 1)]


def backbone_layers(layers: list[Layer]) -> tuple[list[LayerSpec], dict[str, torch.Tensor]]:
    """Arguments of `LayerBackbone`, a dict for each layer, and its tensors by name. Raises ModelError."""
    specs: list[LayerSpec] = []
    tensors: dict[str, torch.Tensor] = {}
    channels = 3
    for layer in layers:
        name = layer.name.replace(".", "_")
        if any(spec["name"] == name for spec in specs):
            raise layer.error("has the name of an earlier layer", "each needs its own")
        if layer.type == "conv":
            spec, weight, bias = _conv(layer, channels)
            channels = spec["out"]
            tensors |= {f"{name}.weight": weight, f"{name}.bias": bias}
        elif layer.type == "pool":
            spec = _max_pool(layer)
        elif layer.type == "relu":
            spec = {"leak": layer.numbers("leak", 0, 1)[0]}
        else:
            spec = {"param": _lrn(layer)}
        specs.append({"name": name, "type": "normalize" if layer.type == "lrn" else layer.type, **spec})
    if not tensors:
        raise ModelError(f"{layers[0].file if layers else 'the network'}: has no convolution before its pooling")
    return specs, tensors


def _conv(layer: Layer, channels: int) -> tuple[LayerSpec, torch.Tensor, torch.Tensor]:
    weights = layer.weights
    if not weights or not 2 <= weights[0].ndim <= 4:
        raise layer.error("has no filters", "height x width x channels x filters would be right")
    filters = four(weights[0])
    height, width, depth, out = filters.shape
    if channels % depth or out % (channels // depth):
        raise layer.error(f"has filters of {depth} channels", f"its input has {channels}")
    if any(d != 1 for d in layer.numbers("dilate", 1, 2)):
        raise layer.error("is dilated", "only plain convolutions can be imported")
    bias = weights[1].ravel() if len(weights) > 1 and weights[1].size else np.zeros(out, np.float32)
    if bias.size != out:
        raise layer.error(f"has {bias.size} biases", f"its {out} filters need as many")
    spec = {"channels": channels, "out": out, "kernel": [height, width], **_steps(layer), "groups": channels // depth}
    return spec, torch.from_numpy(filters.transpose(3, 2, 0, 1).copy()), torch.from_numpy(bias.copy())


def _max_pool(layer: Layer) -> LayerSpec:
    method = layer.fields.get("method") or "max"
    if method != "max":
        raise layer.error(f"pools by {method!r}", "only 'max' can be imported")
    return {"kernel": [int(n) for n in layer.numbers("pool", 1, 2)], **_steps(layer)}


def _steps(layer: Layer) -> LayerSpec:
    stride, pad = layer.numbers("stride", 1, 2), layer.numbers("pad", 0, 4)
    return {"stride": [int(n) for n in stride], "pad": [int(n) for n in pad]}


def _lrn(layer: Layer) -> list[float]:
    param = np.asarray(layer.fields.get("param", DEFAULT_LRN), dtype=float).ravel().tolist()
    if len(param) != 4:
        raise layer.error(f"has {len(param)} parameters", "[N KAPPA ALPHA BETA] would be right")
    return param


def is_l2(layer: Layer, channels: int) -> bool:
    """Whether the layer scales each location to length 1: a window over all channels, alpha 1, beta 1/2."""
    if layer.type not in ("normalize", "lrn"):
        return False
    n, kappa, alpha, beta = _lrn(layer)
    return n >= 2 * channels and kappa <= 1e-6 and alpha == 1 and beta == 0.5


def four(array: Array) -> Array:
    """With the trailing dimensions of 1 that MATLAB drops."""
    return array.reshape(array.shape + (1,) * (4 - array.ndim))
