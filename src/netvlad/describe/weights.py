"""Where a backbone's weights come from: files of $NETVLAD_WEIGHTS first, then timm or torchvision."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from netvlad.errors import ModelError

SUFFIXES = (".safetensors", ".pth")


def find_weights(name: str) -> Path | None:
    """The file of $NETVLAD_WEIGHTS (one folder or several, as in $PATH) that holds the weights of a timm model.

    `resnet18` takes resnet18.pth, resnet18.tv_in1k.pth, resnet18-0676ba61.pth and the like;
    `resnet18.tv_in1k` only what begins so. Raises ModelError where several files fit.
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
    """The file or folder of $NETVLAD_WEIGHTS that has one of `names`, those first in the list before others."""
    return next((folder / name for name in names for folder in folders() if (folder / name).exists()), None)


def local_state(model: nn.Module, file: Path) -> dict[str, Tensor]:
    """The tensors of `file` under the names that timm's `model` gives them."""
    from timm.models import load_state_dict

    try:
        state = load_state_dict(str(file), use_ema=False, device="cpu", weights_only=True)
        rename = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
        state = rename(state, model) if rename else state
    except Exception as e:  # torch, zip and safetensors each have their own
        raise ModelError(f"{file}: cannot be read as a checkpoint ({first_line(e)})") from e
    return {key: tensor for key, tensor in state.items() if isinstance(tensor, Tensor)}


def load_into(model: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Fill `model`, a backbone already cropped, from `state`, which may hold more. Raises ModelError otherwise."""
    wanted = model.state_dict()
    # counters of batch normalisation play no part in a forward pass and older checkpoints lack them
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    if missing:
        raise ModelError(
            f"{source}: lacks {len(missing)} of the {len(wanted)} tensors of this backbone, the first {missing[0]!r}; "
            f"it holds {len(state)}, the first {next(iter(state), None)!r}"
        )
    for key, tensor in wanted.items():
        if key in state and state[key].shape != tensor.shape:
            raise ModelError(f"{source}: {key} is {tuple(state[key].shape)}, this backbone has {tuple(tensor.shape)}")
        if key in state and not torch.isfinite(state[key]).all():
            raise ModelError(f"{source}: {key} holds NaN or infinite values")
    model.load_state_dict({k: state[k] for k in wanted if k in state}, strict=False)


def first_line(error: Exception) -> str:
    """What an error says, cut to a line; its type where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def no_weights(name: str, reason: str) -> ModelError:
    folder = os.environ.get("NETVLAD_WEIGHTS")
    looked = (
        f"no {name}*.safetensors or {name}*.pth in $NETVLAD_WEIGHTS ({folder})"
        if folder
        else ("$NETVLAD_WEIGHTS is not set")
    )
    return ModelError(
        f"no weights for {name}: {looked}, and the download failed ({reason}). Either connect to the internet once, "
        f"or put a checkpoint called {name}.safetensors or {name}.pth into a folder and set NETVLAD_WEIGHTS to it"
    )


def notice_offline() -> None:
    """Where the hub's name does not even resolve, use its local cache at once instead of retrying for a minute."""
    import huggingface_hub.constants as hub

    if any(os.environ.get(v) for v in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")):
        return
    host = urlparse(hub.ENDPOINT).hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        hub.HF_HUB_OFFLINE = True


def folders() -> list[Path]:
    return [Path(p).expanduser() for p in os.environ.get("NETVLAD_WEIGHTS", "").split(os.pathsep) if p]


def _is_of(file: Path, name: str) -> bool:
    rest = file.stem[len(name) :]
    return file.stem.startswith(name) and rest[:1] in ("", ".", "-")
