"""Backbones and published models as `netvlad models` lists them, with the source of weights. Nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from netvlad.describe.backbone import Backbone, weights_config
from netvlad.describe.dense_vlad import CENTRES, find_centres
from netvlad.describe.weights import find_file, find_weights
from netvlad.pretrained.catalogue import BACKBONES, HUBS, NETWORKS, Hub, Network
from netvlad.pretrained.hub import checkpoint
from netvlad.pretrained.networks import imported_folder


@dataclass(frozen=True)
class ListedBackbone:
    """A named backbone: `dim` channels at `stage`, `stride` pixels between locations, source of its weights."""

    backbone: str
    stage: str
    dim: int
    stride: int
    weights: str
    licence: str
    remark: str


@dataclass(frozen=True)
class ListedModel:
    """A published model; here: where its weights are, or come from."""

    name: str
    dim: int
    size: str
    licence: str
    source: str
    here: str


def listed_backbones() -> list[ListedBackbone]:
    """The named backbones."""
    return [_backbone(name, remark) for name, remark in BACKBONES.items()]


def listed_models() -> list[ListedModel]:
    """The published models."""
    where = {name: _where_network(name, network) for name, network in NETWORKS.items()}
    where |= {name: _where_hub(hub) for name, hub in HUBS.items()}
    published: dict[str, Network | Hub] = {**NETWORKS, **HUBS}
    return [ListedModel(name, m.dim, m.size, m.licence, m.source, where[name]) for name, m in published.items()]


def dense_vlad_centres() -> str:
    """The source of DenseVLAD's cluster centres."""
    file = find_centres()
    return f"file {file.name}" if file else f"fitted on the photos, for want of {CENTRES} in $NETVLAD_WEIGHTS"


def _backbone(name: str, remark: str) -> ListedBackbone:
    with torch.device("meta"):  # neither time nor memory for weights
        backbone = Backbone(name)
    file, usual = find_weights(name), backbone.pretrained_cfg
    licence = (weights_config(file.stem, backbone) if file else usual).get("license") or "not stated"
    where = f"file {file.name}" if file else f"download {usual.get('hf_hub_id') or usual.get('url')}"
    return ListedBackbone(name, backbone.stage, backbone.dim, backbone.stride, where, licence, remark)


def _where_network(name: str, network: Network) -> str:
    given = find_file([name, *network.files])
    if given:
        return f"here: {given.name}"
    if (imported_folder(name) / "card.json").is_file():
        return "here, in the cache"
    return "download" if network.url else f"by hand: {network.files[0]}"


def _where_hub(hub: Hub) -> str:
    files = hub.files or (hub.weights.rpartition("/")[2],)
    given = find_file(files)
    if given:
        return f"here: {given.name}"
    if checkpoint(hub).is_file():
        return "here, in the cache"
    return f"by hand: {files[0]}" if hub.files else f"torch.hub {hub.repo}"
