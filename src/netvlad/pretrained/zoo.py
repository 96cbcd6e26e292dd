"""Models by name. torch is imported for models that need it, and for an ONNX network it is not."""

from __future__ import annotations

import difflib
import inspect
import os
from pathlib import Path

from netvlad.describe.names import DEFAULT, DEFAULT_BACKBONE, DENSE_VLAD, DENSE_VLAD_2015, LONGEST_SIDE
from netvlad.describe.onnx_describer import KIND as ONNX
from netvlad.describe.onnx_describer import OnnxDescriber
from netvlad.describe.weight_files import works_anyway
from netvlad.errors import ModelError
from netvlad.pretrained.backbones import BACKBONES
from netvlad.pretrained.catalogue import HUBS, NETWORKS
from netvlad.registry import artifacts, models, poolings
from netvlad.runtime.artifacts import FORMAT, read_card
from netvlad.runtime.hugging_face import PREFIX, fetch_artifact
from netvlad.types import Describer

TRAINABLE = f"{DEFAULT_BACKBONE}-netvlad"  # what is trained where no model is named
DENSE_VLADS = (DENSE_VLAD, DENSE_VLAD_2015)  # the models without a backbone
NETWORK_CLUSTERS = 64


def load(
    name: str | os.PathLike[str],
    *,
    clusters: int | None = None,
    stage: str | None = None,
    resize: int | None = LONGEST_SIDE,
    dim: int | None = None,
    trust_code: bool = False,
) -> Describer:
    """Load a describer by name, from a saved folder or from the Hugging Face hub.

    name: "default", the model that comes along; `<backbone>-<pooling>` such as "resnet18-netvlad"; "densevlad"; a
    published model such as "megaloc" or "vgg16-netvlad-pitts30k" (`catalogue.py`); a model that another package
    registered; a folder that `save` or `netvlad fit` wrote; a file .onnx that `netvlad export` wrote; or
    "hf:owner/name" for one that `push_to_hub` published, "hf:owner/name@revision" for a branch, tag or commit of it.
    `list_models` lists names.
    clusters: number of cluster centres, by default 64, for DenseVLAD 128. stage: where the backbone is cropped. resize:
    longest side in pixels that photos are scaled down to. These are for names; saved ones have theirs, a published
    model takes only `resize`. dim: crop a whitened model to its first `dim` numbers, or make the default model with so
    many.
    A model of torch.hub ("megaloc", "salad" ...) runs code of the repository it is published in; one in a folder, which
    may come from somebody else, only with `trust_code`.
    A NetVLAD or VLAD by name comes with the backbone's weights but without centres: fit it, or let an index fit it; so
    does DenseVLAD, unless $NETVLAD_WEIGHTS has its authors' centres.
    Raises ModelError: unknown name, no weights, a folder that does not fit.
    """
    model = _load(name, clusters, stage, resize, dim, trust_code)
    if not dim:
        return model
    from netvlad.describe.base import BaseDescriber
    from netvlad.describe.default import DefaultNetVLAD

    if isinstance(model, DefaultNetVLAD):
        return model
    if not isinstance(model, BaseDescriber):
        raise ModelError(f"{name} cannot be cropped to its first {dim} numbers")
    return model.crop(dim)


def _load(
    name: str | os.PathLike[str],
    clusters: int | None,
    stage: str | None,
    resize: int | None,
    dim: int | None,
    trust_code: bool,
) -> Describer:
    if os.fspath(name).endswith(".onnx"):
        if clusters or stage:
            raise ModelError(f"{name} has its own clusters and stage: leave them out")
        return OnnxDescriber(name)
    if is_saved(name):
        return load_folder(_local(os.fspath(name)), trust_code=trust_code)
    from netvlad.describe.backbone import load_backbone
    from netvlad.describe.default import DefaultNetVLAD
    from netvlad.describe.dense_vlad import load_dense_vlad
    from netvlad.describe.network import NetworkDescriber
    from netvlad.pretrained.hub import load_hub
    from netvlad.pretrained.networks import load_network

    name = os.fspath(name)
    if name == DEFAULT:
        if stage:
            raise ModelError(f"{name} is cropped where its normalisation belongs: leave the stage out")
        return DefaultNetVLAD(dim, clusters=clusters or NETWORK_CLUSTERS, resize=resize)
    hub = name.partition(":")[0] in HUBS
    if hub or name in NETWORKS:
        if clusters or stage:
            raise ModelError(f"{name} is published as it is: leave {'the clusters' if clusters else 'the stage'} out")
        return load_hub(name, resize=resize) if hub else load_network(name, resize)
    if name in models:
        return _load_registered(name, clusters, stage, resize)
    if dim:
        raise ModelError(f"{name} is not whitened, so it has no first {dim} numbers to keep; `netvlad fit --whiten`")
    if name in DENSE_VLADS:
        if stage:
            raise ModelError(f"{name} has no backbone that could be cropped at {stage!r}: leave the stage out")
        return load_dense_vlad(name, clusters=clusters, resize=resize)
    backbone, pooling = split_name(name)
    clusters = NETWORK_CLUSTERS if clusters is None else clusters
    return NetworkDescriber(load_backbone(backbone, stage), pooling, clusters=clusters, resize=resize, name=name)


def is_saved(name: str | os.PathLike[str]) -> bool:
    """Whether a name stands for a saved model: a folder, an ONNX network, or one on the Hugging Face hub."""
    return (
        os.fspath(name).startswith(PREFIX) or os.fspath(name).endswith(".onnx") or (Path(name) / "card.json").is_file()
    )


def _local(name: str) -> Path:
    """The folder of a saved model on this machine. Raises ModelError that says what works where it cannot be had."""
    if not name.startswith(PREFIX):
        return Path(name)
    try:
        return fetch_artifact(name, error=ModelError)
    except ModelError as e:
        raise ModelError(f"{e.reason}. {works_anyway()}", path=e.path) from e


def _load_registered(name: str, clusters: int | None, stage: str | None, resize: int | None) -> Describer:
    """A model that another package registered. Raises ModelError for options that it does not take."""
    make = models.get(name)
    given = {"clusters": clusters, "stage": stage}
    options = {"resize": resize, **{key: value for key, value in given.items() if value is not None}}
    try:
        inspect.signature(make).bind(**options)
    except TypeError as e:
        raise ModelError(f"{name} does not take these options ({e})") from e
    model: Describer = make(**options)
    return model


def load_folder(folder: str | os.PathLike[str], *, trust_code: bool = False) -> Describer:
    """Read a saved model. Raises ModelError where the folder holds none, or one that this version cannot read.

    trust_code: whether it may run code of the repository that its card names. Without, such a model is refused.
    """
    card = read_card(folder, error=ModelError)
    kind, version = card["kind"], card["format"]
    if kind == ONNX:  # before `artifacts`, whose other kinds need torch
        return OnnxDescriber.load(folder)
    from netvlad.describe.base import BaseDescriber
    from netvlad.pretrained.hub import HubDescriber

    if version != FORMAT or kind not in artifacts:
        known = f"this version reads format {FORMAT} of {', '.join(artifacts)}"
        raise ModelError(f"a model of kind {kind!r}, format {version!r}; {known}", path=folder)
    if kind == HubDescriber.kind and not trust_code:
        raise ModelError(
            f"is a model whose code is fetched from {HubDescriber.repository(card)} and run with your rights; if you "
            "trust it and whoever made this folder, say --trust-code (trust_code=True)",
            path=folder,
        )
    model = artifacts.get(kind).load(folder)
    if not isinstance(model, BaseDescriber):
        raise ModelError(f"holds a {kind}, not a model", path=folder)
    return model


def list_models() -> list[str]:
    """Names that `load` takes: named backbones with every pooling, published models, and other packages' models.

    Any other backbone of timm works too, as `<backbone>-<pooling>`.
    """
    own = [f"{backbone}-{pooling}" for backbone in BACKBONES for pooling in poolings]
    return [DEFAULT, *own, *DENSE_VLADS, *NETWORKS, *HUBS, *models]


def split_name(name: str) -> tuple[str, str]:
    """Split "resnet18-netvlad" into ("resnet18", "netvlad"). Raises ModelError that lists close names."""
    if "/" in name or name.startswith("."):
        reason = "no model folder is there (it would hold card.json and model.safetensors)"
        raise ModelError(f"{reason}; a model of the Hugging Face hub is called hf:owner/name", path=name)
    if name.endswith("-distinct"):
        raise ModelError(
            f"{name} stands for a way to search with {name.removesuffix('-distinct')}, computed over a whole database: "
            "`netvlad evaluate` and `netvlad compare` take it, but no model or index can be made of it"
        )
    backbone, dash, pooling = name.rpartition("-")
    if dash and pooling in poolings:
        return backbone, pooling
    close = difflib.get_close_matches(name, list_models(), 3)
    hint = f"close: {', '.join(close)}; " if close else ""
    published = ", ".join([*NETWORKS, *HUBS, *models])
    raise ModelError(
        f"no model is called {name!r}: {hint}a name is {DEFAULT}, or <backbone>-<pooling>, pooling one of "
        f"{', '.join(poolings)}, or {' or '.join(DENSE_VLADS)}, or a published model ({published}), or the folder of a "
        "saved model"
    )
