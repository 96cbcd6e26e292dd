"""Import of the networks that the authors of NetVLAD published as MATLAB structs (`Relja/netvlad`, MatConvNet).

From their code: `addLayers.m` (which layers follow the backbone), `layerVLAD.m` and `layerVLADv2.m` (weights
1x1xDxK, residual centres stored negated), `addPCA.m` (whitening as a 1x1 convolution of the flattened vector),
`computeRepresentation.m` (only element (1,1) of the average image is subtracted), and MatConvNet's documentation of
`vl_nnconv`, `vl_nnpool`, `vl_nnnormalize` and `vl_simplenn_tidy`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from netvlad.describe.names import LONGEST_SIDE
from netvlad.describe.whitening import Whitening
from netvlad.errors import ModelError
from netvlad.pretrained.matconvnet_layers import BACKBONE_TYPES, Layer, backbone_layers, four, is_l2, list_layers
from netvlad.pretrained.matlab import CLASS, read_mat
from netvlad.pretrained.simplenn import LayerBackbone, SimpleNNDescriber
from netvlad.runtime.files import sha256
from netvlad.types import Array, FloatArray

# custom layers, by their class, or by their name where they were converted to structs
POOLINGS = {"layerTotalMaxPool": "max", "max:core": "max", "layerTotalAvgPool": "avg", "avg:core": "avg"}
VLADS = {2: "netvlad", 3: "netvlad2"}  # by the number of its arrays: w and -c, or w, b and -c


def import_matconvnet(
    file: str | os.PathLike[str],
    *,
    resize: int | None = LONGEST_SIDE,
    name: str | None = None,
    source: dict[str, str] | None = None,
) -> SimpleNNDescriber:
    """Import a network as the authors published it, from its .mat file (version 5, 7 or 7.3).

    The file lists the layers of the backbone; then max or average pooling, or NetVLAD (v1 or v2) between normalisations
    of the local descriptors and of each cluster; then the whitening, if there is one.
    resize: longest side in pixels that photos are scaled down to, None leaves them as they are, as the authors did.
    source: entries of the provenance that the caller knows better.
    Raises ModelError for a file of another structure, naming the layer and what would be right.
    """
    file = Path(file)
    net = read_mat(file, "net")
    layers = list_layers(file, net)
    at = next((i for i, layer in enumerate(layers) if layer.type not in BACKBONE_TYPES), len(layers))
    if at == len(layers):
        raise ModelError(
            f"has no pooling layer after its {len(layers)} layers, the last {layers[-1].name!r}; a network of the "
            "authors has max:core, avg:core or vlad:core (off-the-shelf networks are backbones only)",
            path=file,
        )
    pooling = _pooling(layers[at])
    vlad = pooling in VLADS.values()
    specs, tensors = backbone_layers(_before(layers, at, vlad))
    meta = net.get("meta") or net  # before beta17 its parts stood in the network itself
    backbone = LayerBackbone(meta.get("netID") or "matconvnet", specs, [c / 255 for c in _mean(file, meta)])
    backbone.body.load_state_dict(tensors)
    backbone.provenance = {"file": file.name, "sha256": sha256(file), "licence": "not stated", **(source or {})}
    clusters = four(layers[at].weights[0]).shape[3] if vlad else 64
    model = SimpleNNDescriber(backbone, pooling, clusters=clusters, resize=resize, name=name or file.stem)
    if vlad:
        _fill_vlad(model, layers[at])
    _after(model, layers[at + 1 :], layers[at])
    model.fitted_on = {key: meta[key] for key in ("sessionID",) if meta.get(key)}
    return model


def _pooling(layer: Layer) -> str:
    if layer.type == "custom":
        kind = layer.fields.get(CLASS, "")
        known = POOLINGS.get(kind) or POOLINGS.get(layer.name) or VLADS.get(len(layer.weights))
        if known:
            return known
    raise layer.error(
        "is none that can be imported",
        f"a network of the authors has layers of {', '.join(BACKBONE_TYPES)}, then max:core, avg:core or vlad:core",
    )


def _before(layers: list[Layer], at: int, vlad: bool) -> list[Layer]:
    """The layers of the backbone: all before the pooling but the normalisation that `NetVLAD` does itself."""
    last = layers[at - 1] if at else layers[0]
    channels = four(layers[at].weights[0]).shape[2] if vlad else 0
    if vlad and not is_l2(last, channels):
        raise last.error("does not normalise", f"before {layers[at].name!r} local descriptors have to be (preL2)")
    if not vlad and last.type == "normalize":
        raise last.error(
            f"normalises before {layers[at].name!r}", "max and average pooling take the backbone's own maps"
        )
    return layers[: at - 1] if vlad else layers[:at]


def _fill_vlad(model: SimpleNNDescriber, layer: Layer) -> None:
    arrays = layer.weights
    parts = {"weight": arrays[0], "centres": -arrays[-1]}  # the centres are stored negated
    shape = (1, 1, model.backbone.dim, model.clusters)
    for value in parts.values():
        if four(value).shape != shape:
            got, want = ("x".join(map(str, s)) for s in (four(value).shape, shape))
            raise layer.error(f"has weights of {got}", f"{want} would fit the backbone")
    state = {key: torch.from_numpy(four(value)[0, 0].T.copy()) for key, value in parts.items()}
    if len(arrays) == 3:
        if arrays[1].size != model.clusters:
            raise layer.error(f"has {arrays[1].size} biases", f"its {model.clusters} clusters need as many")
        state["bias"] = torch.from_numpy(arrays[1].ravel().copy())
    model.pooling.load_state_dict(state)


def _after(model: SimpleNNDescriber, layers: list[Layer], pooling: Layer) -> None:
    """Check and set what follows the pooling: intra-normalisation, L2, then perhaps the whitening and L2 again."""
    rest = list(layers)
    if pooling.weights and not (rest and is_l2(rest.pop(0), model.backbone.dim)):
        raise pooling.error("is not followed by the normalisation of each cluster", "vlad:intranorm would be right")
    if not (rest and rest.pop(0).is_whole_l2):
        raise pooling.error("is not followed by the normalisation of the whole vector", "postL2 would be right")
    if not rest:
        return
    if rest[0].type != "conv" or len(rest) != 2 or not rest[1].is_whole_l2:
        raise rest[0].error("follows postL2", "only the whitening (a conv layer) and finalL2 may")
    model.set_whitening(_whitening(rest[0], model))


def _whitening(layer: Layer, model: SimpleNNDescriber) -> Whitening:
    weights = layer.weights
    matrix = four(weights[0]) if weights else np.zeros((1, 1, 0, 0), np.float32)
    if matrix.shape[:3] != (1, 1, model.dim) or len(weights) < 2 or weights[1].size != matrix.shape[3]:
        got = ", ".join("x".join(map(str, w.shape)) for w in weights)
        raise layer.error(f"has weights of {got or 'no size'}", f"1x1x{model.dim}xd and d biases would be right")
    # MATLAB flattens K x D with the cluster fastest, this package cluster by cluster
    clusters = model.dim // model.backbone.dim
    by_channel = matrix.reshape(model.backbone.dim, clusters, -1)
    rows = np.ascontiguousarray(by_channel.transpose(2, 1, 0)).reshape(-1, model.dim)
    mean = mean_of(rows, weights[1].ravel())
    if mean is None:
        raise layer.error("has biases that no mean explains", "the bias of a PCA is -U' mean")
    whitening = Whitening(model.dim, 1)
    whitening.matrix = torch.from_numpy(rows)  # as it is: half a gigabyte
    whitening.mean.copy_(torch.from_numpy(mean))
    return whitening


def mean_of(matrix: FloatArray, bias: FloatArray) -> Array | None:
    """The shortest vector m with `matrix` m = -`bias`, so that W x + b = W (x - m); None where there is none.

    matrix (d, D), bias (d,) float32. The rows of a PCA are orthogonal, which needs no more than a few products; other
    matrices are solved by least squares.
    """
    wide = matrix.astype(np.float64)
    wanted = -bias.astype(np.float64)
    squares = np.einsum("ij,ij->i", wide, wide)
    mean: Array = np.zeros(wide.shape[1])
    tolerance = 1e-6 * max(float(np.linalg.norm(wanted)), 1e-12)
    for _ in range(10 if squares.all() else 0):
        left = wanted - wide @ mean
        if np.linalg.norm(left) <= tolerance:
            return mean
        mean += (left / squares) @ wide
    mean = np.linalg.lstsq(wide, wanted, rcond=None)[0]
    return mean if np.linalg.norm(wide @ mean - wanted) <= 100 * tolerance else None


def _mean(file: Path, meta: dict[str, Any]) -> list[float]:
    image = (meta.get("normalization") or {}).get("averageImage")
    if image is None or np.size(image) < 3 or np.size(image) % 3:
        raise ModelError(
            "net.meta.normalization.averageImage is missing or not of 3 channels; without the colour that the network "
            "subtracts, its descriptors would be others",
            path=file,
        )
    image = np.asarray(image, dtype=float)
    mean: list[float] = (image[0, 0] if image.ndim == 3 else image.ravel()[:3]).tolist()
    return mean
