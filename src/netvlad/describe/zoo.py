"""Models by name."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from netvlad.describe.dense_vlad import CENTRES, DenseVLAD, find_centres, load_dense_vlad
from netvlad.describe.descriptor import LONGEST_SIDE, NetworkDescriber
from netvlad.describe.pooling import POOLINGS
from netvlad.describe.trunk import Trunk, load_trunk, weights_config
from netvlad.describe.weights import find_weights
from netvlad.errors import ModelError

KINDS = {"network": NetworkDescriber, "densevlad": DenseVLAD}  # of saved model folders, by the card's "kind"
DEFAULT = "resnet18-netvlad"
DENSE_VLAD = "densevlad"  # the one model without a trunk
NETWORK_CLUSTERS = 64

# trunks worth naming; any other of timm's works the same way
TRUNKS = {
    "vgg16": "the paper's trunk",
    "alexnet": "the paper's small trunk",
    "resnet18": "fast on a CPU",
    "resnet50": "the usual trunk of newer work",
    "mobilenetv3_large_100": "for phones and robots",
    "vit_small_patch14_dinov2": "self-supervised ViT",
    "vit_base_patch14_dinov2": "self-supervised ViT, the field's best start",
}


def load(
    name: str | os.PathLike,
    *,
    clusters: int | None = None,
    stage: str | None = None,
    resize: int | None = LONGEST_SIDE,
    dim: int | None = None,
) -> NetworkDescriber | DenseVLAD:
    """A describer by name or from a saved folder.

    name: `<trunk>-<pooling>` such as "resnet18-netvlad", "densevlad", or a folder that `save` or `netvlad fit` wrote.
    clusters, stage, resize: for a name; a folder has its own. clusters: by default 64, of DenseVLAD 128. dim: crop a
    whitened folder to its first `dim` numbers.
    A NetVLAD or VLAD by name comes with the trunk's weights but without centres: fit it, or let an index fit it; so
    does DenseVLAD, unless $NETVLAD_WEIGHTS has its authors' centres.
    Raises ModelError: unknown name, no weights, a folder that does not fit.
    """
    if (Path(name) / "card.json").is_file():
        model = load_folder(Path(name))
        return model.crop(dim) if dim else model
    if dim:
        raise ModelError(f"{name} is not whitened, so it has no first {dim} numbers to keep; `netvlad fit --whiten`")
    if str(name) == DENSE_VLAD:
        if stage:
            raise ModelError(f"{name} has no trunk that could be cropped at {stage!r}: leave the stage out")
        return load_dense_vlad(clusters=clusters, resize=resize)
    trunk, pooling = split_name(str(name))
    clusters = NETWORK_CLUSTERS if clusters is None else clusters
    return NetworkDescriber(load_trunk(trunk, stage), pooling, clusters=clusters, resize=resize, name=str(name))


def load_folder(folder: Path) -> NetworkDescriber | DenseVLAD:
    """Read a saved model."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        kind, version = card["kind"], card["format"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ModelError(f"{folder / 'card.json'}: is not a model card ({type(e).__name__}: {e})") from e
    if version != 1 or kind not in KINDS:
        raise ModelError(
            f"{folder}: a model of kind {kind!r}, format {version!r}; this version reads format 1 of {', '.join(KINDS)}"
        )
    try:
        return KINDS[kind].load(folder, card)
    except (KeyError, TypeError) as e:
        raise ModelError(f"{folder / 'card.json'}: lacks or garbles an entry ({type(e).__name__}: {e})") from e


@dataclass(frozen=True)
class Known:
    """A trunk as `netvlad models` lists it; dim: its channels at `stage`."""

    trunk: str
    stage: str
    dim: int
    stride: int
    weights: str
    licence: str
    remark: str


def known() -> list[Known]:
    """The named trunks and where their weights would come from; none is loaded or downloaded."""
    return [_known(name, remark) for name, remark in TRUNKS.items()]


def dense_vlad_centres() -> str:
    """Where DenseVLAD's cluster centres would come from, in words."""
    file = find_centres()
    return f"file {file.name}" if file else f"fitted on the photos, for want of {CENTRES} in $NETVLAD_WEIGHTS"


def _known(name: str, remark: str) -> Known:
    with torch.device("meta"):
        trunk = Trunk(name)
    file = find_weights(name)
    config = weights_config(file.stem, trunk) if file else trunk.body.pretrained_cfg
    licence = config.get("license") or "not stated"
    source = file.name if file else trunk.body.pretrained_cfg.get("hf_hub_id") or trunk.body.pretrained_cfg.get("url")
    where = f"{'file' if file else 'download'} {source}"
    return Known(name, trunk.stage, trunk.dim, trunk.stride, where, licence, remark)


def split_name(name: str) -> tuple[str, str]:
    """("resnet18", "netvlad") of "resnet18-netvlad". Raises ModelError with what would be right."""
    if "/" in name or name.startswith("."):
        raise ModelError(f"{name}: no model folder is there (it would hold card.json and model.safetensors)")
    trunk, dash, pooling = name.rpartition("-")
    if dash and pooling in POOLINGS:
        return trunk, pooling
    close = difflib.get_close_matches(name, [DENSE_VLAD, *(f"{t}-{p}" for t in TRUNKS for p in POOLINGS)], 3)
    hint = f"close: {', '.join(close)}; " if close else ""
    raise ModelError(
        f"no model is called {name!r}: {hint}a name is <trunk>-<pooling>, pooling one of {', '.join(POOLINGS)}, "
        f"or {DENSE_VLAD}, or the folder of a saved model"
    )
