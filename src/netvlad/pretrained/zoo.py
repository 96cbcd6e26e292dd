"""Models by name."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from netvlad.describe.backbone import Backbone, load_backbone, weights_config
from netvlad.describe.base import LONGEST_SIDE, BaseDescriber
from netvlad.describe.dense_vlad import CENTRES, find_centres, load_dense_vlad
from netvlad.describe.network import NetworkDescriber
from netvlad.describe.weights import find_file, find_weights
from netvlad.errors import ModelError, NetvladError
from netvlad.pretrained.catalogue import HUBS, NETWORKS, Hub, Network
from netvlad.pretrained.hub import checkpoint, load_hub
from netvlad.pretrained.matconvnet import import_matconvnet
from netvlad.registry import artifacts, poolings
from netvlad.runtime.artifacts import FORMAT, read_card
from netvlad.runtime.download import cache_folder, download

DEFAULT = "resnet18-netvlad"
DENSE_VLAD = "densevlad"  # the one model without a backbone
NETWORK_CLUSTERS = 64

# backbones worth naming; any other of timm's works the same way
BACKBONES = {
    "vgg16": "the paper's backbone",
    "alexnet": "the paper's small backbone",
    "resnet18": "fast on a CPU",
    "resnet50": "the usual backbone of newer work",
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
) -> BaseDescriber:
    """A describer by name or from a saved folder.

    name: `<backbone>-<pooling>` such as "resnet18-netvlad", "densevlad", a published model such as "megaloc" or
    "vgg16-netvlad-pitts30k" (`published.py` has them all), or a folder that `save` or `netvlad fit` wrote.
    clusters, stage, resize: for a name; a folder has its own, and a published model is as it is but for the size of
    photos. clusters: by default 64, of DenseVLAD 128. dim: crop a whitened model to its first `dim` numbers.
    A model of torch.hub ("megaloc", "salad" ...) runs code of the repository it is published in.
    A NetVLAD or VLAD by name comes with the backbone's weights but without centres: fit it, or let an index fit it; so
    does DenseVLAD, unless $NETVLAD_WEIGHTS has its authors' centres.
    Raises ModelError: unknown name, no weights, a folder that does not fit.
    """
    if (Path(name) / "card.json").is_file():
        model = load_folder(Path(name))
        return model.crop(dim) if dim else model
    if str(name) in NETWORKS or str(name).partition(":")[0] in HUBS:
        if clusters or stage:
            raise ModelError(f"{name} is published as it is: leave {'the clusters' if clusters else 'the stage'} out")
        model = _network(str(name), resize) if str(name) in NETWORKS else load_hub(str(name), resize=resize)
        return model.crop(dim) if dim else model
    if dim:
        raise ModelError(f"{name} is not whitened, so it has no first {dim} numbers to keep; `netvlad fit --whiten`")
    if str(name) == DENSE_VLAD:
        if stage:
            raise ModelError(f"{name} has no backbone that could be cropped at {stage!r}: leave the stage out")
        return load_dense_vlad(clusters=clusters, resize=resize)
    backbone, pooling = split_name(str(name))
    clusters = NETWORK_CLUSTERS if clusters is None else clusters
    return NetworkDescriber(load_backbone(backbone, stage), pooling, clusters=clusters, resize=resize, name=str(name))


def _network(name: str, resize: int | None) -> BaseDescriber:
    """A network of NetVLAD's authors: as it was imported, or from its .mat file, which is fetched if need be."""
    entry = NETWORKS[name]
    imported = cache_folder() / "models" / name
    given = find_file([name, *entry.files])
    for folder in (given, imported):
        if folder and (folder / "card.json").is_file():
            model = load_folder(folder)
            model.resize = resize
            return model
    if given:
        return import_matconvnet(given, resize=resize, name=name)
    elsewhere = f"put {entry.files[0]} from {entry.page} into a folder and set NETVLAD_WEIGHTS to that"
    if entry.url is None:
        raise ModelError(f"{name}: no address of its file is known; {elsewhere}")
    try:
        file = download(entry.url, cache_folder() / entry.url.rpartition("/")[2], sha256_hex=entry.sha256)
    except NetvladError as e:
        raise ModelError(f"{name}: {e}. Or {elsewhere}") from e
    model = import_matconvnet(file, resize=resize, name=name)
    model.backbone.provenance |= {"source": entry.url, "licence": entry.licence}
    model.save(imported)
    file.unlink()  # the folder holds all of it
    return model


def load_folder(folder: str | os.PathLike[str]) -> BaseDescriber:
    """Read a saved model. Raises ModelError where the folder holds none, or one that this version cannot read."""
    card = read_card(folder, error=ModelError)
    kind, version = card["kind"], card["format"]
    if version != FORMAT or kind not in artifacts:
        known = f"this version reads format {FORMAT} of {', '.join(artifacts)}"
        raise ModelError(f"a model of kind {kind!r}, format {version!r}; {known}", path=folder)
    model = artifacts.get(kind).load(folder)
    if not isinstance(model, BaseDescriber):
        raise ModelError(f"holds a {kind}, not a model", path=folder)
    return model


@dataclass(frozen=True)
class Known:
    """A backbone as `netvlad models` lists it; dim: its channels at `stage`."""

    backbone: str
    stage: str
    dim: int
    stride: int
    weights: str
    licence: str
    remark: str


def known() -> list[Known]:
    """The named backbones and where their weights would come from; none is loaded or downloaded."""
    return [_known(name, remark) for name, remark in BACKBONES.items()]


@dataclass(frozen=True)
class Listed:
    """A published model as `netvlad models` lists it; here: where its weights are, or come from."""

    name: str
    dim: int
    size: str
    licence: str
    source: str
    here: str


def others() -> list[Listed]:
    """The models that others published, and whether they are here; none is loaded or downloaded."""
    return [
        Listed(name, m.dim, m.size, m.licence, m.source, _whereabouts(name, m))
        for name, m in {**NETWORKS, **HUBS}.items()
    ]


def _whereabouts(name: str, entry: Network | Hub) -> str:
    hub = name in HUBS
    files = entry.files or (entry.weights.rpartition("/")[2],)
    given = find_file(files if hub else [name, *files])
    if given:
        return f"here: {given.name}"
    if checkpoint(entry).is_file() if hub else (cache_folder() / "models" / name / "card.json").is_file():
        return "here, in the cache"
    if hub and not entry.files:
        return f"torch.hub {entry.repo}"
    return "download" if not hub and entry.url else f"by hand: {files[0]}"


def dense_vlad_centres() -> str:
    """Where DenseVLAD's cluster centres would come from, in words."""
    file = find_centres()
    return f"file {file.name}" if file else f"fitted on the photos, for want of {CENTRES} in $NETVLAD_WEIGHTS"


def _known(name: str, remark: str) -> Known:
    with torch.device("meta"):
        backbone = Backbone(name)
    file = find_weights(name)
    config = weights_config(file.stem, backbone) if file else backbone.body.pretrained_cfg
    licence = config.get("license") or "not stated"
    source = (
        file.name if file else backbone.body.pretrained_cfg.get("hf_hub_id") or backbone.body.pretrained_cfg.get("url")
    )
    where = f"{'file' if file else 'download'} {source}"
    return Known(name, backbone.stage, backbone.dim, backbone.stride, where, licence, remark)


def split_name(name: str) -> tuple[str, str]:
    """("resnet18", "netvlad") of "resnet18-netvlad". Raises ModelError with what would be right."""
    if "/" in name or name.startswith("."):
        raise ModelError(f"{name}: no model folder is there (it would hold card.json and model.safetensors)")
    if name.endswith("-distinct"):
        raise ModelError(
            f"{name} stands for a way to search with {name.removesuffix('-distinct')}, and is worked out over a whole "
            "database: `netvlad evaluate` and `netvlad compare` take it, but no model or index can be made of it"
        )
    backbone, dash, pooling = name.rpartition("-")
    if dash and pooling in poolings:
        return backbone, pooling
    published = [*NETWORKS, *HUBS]
    ours = [f"{t}-{p}" for t in BACKBONES for p in poolings]
    close = difflib.get_close_matches(name, [DENSE_VLAD, *published, *ours], 3)
    hint = f"close: {', '.join(close)}; " if close else ""
    raise ModelError(
        f"no model is called {name!r}: {hint}a name is <backbone>-<pooling>, pooling one of {', '.join(poolings)}, "
        f"or {DENSE_VLAD}, or a published model ({', '.join(published)}), or the folder of a saved model"
    )
