"""Backbones and published models as `netvlad models` lists them. Nothing is downloaded, and torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad.describe.weight_files import CENTRES, PACKAGED, find_weights
from netvlad.pretrained.backbones import BACKBONES, TAGS, KnownBackbone
from netvlad.pretrained.catalogue import HUBS, NETWORKS, Hub, Network
from netvlad.pretrained.needs import imported_folder, missing
from netvlad.runtime.weights_folders import find_file

HERE = "here"


@dataclass(frozen=True)
class ListedBackbone(KnownBackbone):
    """The backbone called `backbone`, with the weights that are used here. here: "here", or how to get them."""

    backbone: str
    here: str


@dataclass(frozen=True)
class ListedModel:
    """A published model. here: "here", how much of it is here, or how to get it."""

    name: str
    dim: int
    size: str
    licence: str
    source: str
    page: str
    here: str


def listed_backbones() -> list[ListedBackbone]:
    """The named backbones."""
    return [_backbone(name) for name in BACKBONES]


def listed_models() -> list[ListedModel]:
    """The published models."""
    where = {name: _where_network(name, network) for name, network in NETWORKS.items()}
    where |= {name: _where_hub(name, hub) for name, hub in HUBS.items()}
    published: dict[str, Network | Hub] = {**NETWORKS, **HUBS}
    return [ListedModel(name, m.dim, m.size, m.licence, m.source, m.page, where[name]) for name, m in published.items()]


def dense_vlad_centres() -> str:
    """The source of DenseVLAD's cluster centres."""
    file = find_file([CENTRES])
    return f"file {file.name}" if file else f"fitted on the photos, for want of {CENTRES} in $NETVLAD_WEIGHTS"


def _backbone(name: str) -> ListedBackbone:
    known, file, here = BACKBONES[name], find_weights(name), "download"
    weights, licence = known.weights, known.licence
    if file:
        tag = file.name.split(".")[1]
        weights, licence, here = file.name, TAGS.get(tag, "not stated"), HERE
    elif name in PACKAGED and PACKAGED[name].path:
        weights, licence, here = PACKAGED[name].package, PACKAGED[name].licence, HERE
    return ListedBackbone(**{**vars(known), "weights": weights, "licence": licence}, backbone=name, here=here)


def _where_network(name: str, network: Network) -> str:
    if find_file([name, *network.files]) or (imported_folder(name) / "card.json").is_file():
        return HERE
    return "download" if network.url else "by hand"


def _where_hub(name: str, hub: Hub) -> str:
    if hub.files:
        return HERE if find_file(hub.files) else "by hand"
    needs = hub.needs(name)
    lacking = len(missing(needs))
    if not lacking:
        return HERE
    return "download" if lacking == len(needs) else f"{len(needs) - lacking} of {len(needs)} here"
