"""A describer on disk: model.safetensors and card.json, tied together by a checksum.

On disk the backbone is called trunk, in tensor names and in the card, so that every folder of format 1 opens.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from netvlad import __version__
from netvlad.errors import ModelError
from netvlad.runtime.files import atomic, write_json


def save_folder(model: nn.Module, folder: str | os.PathLike, *, kind: str, weights: dict | None) -> Path:
    """Write a describer's tensors and card, to be read by the `load` of its kind (`zoo.KINDS`).

    weights: where what was not fitted came from. Raises ModelError while centres are missing.
    """
    from safetensors.torch import save

    if not model.ready:
        raise ModelError(f"{model.name} has no cluster centres yet, so there is nothing to save: fit it first")
    folder = Path(folder)
    state = {_on_disk(k): v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    with atomic(folder / "model.safetensors") as temporary:
        temporary.write_bytes(save(state))
    card = {
        "format": 1,
        "kind": kind,
        "name": model.name,
        "dim": model.dim,
        "architecture": model.architecture,
        "weights": weights,
        "fitted_on": model.fitted_on,
        "checksum": digest(model.architecture, state),
        "netvlad": __version__,
    }
    write_json(folder / "card.json", card)
    return folder


def read_state(folder: Path, card: dict) -> dict[str, Tensor]:
    """The tensors of a saved describer. Raises ModelError when they cannot be read or are not those of the card."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / "model.safetensors"
    try:
        state = load_file(file)
    except (OSError, SafetensorError) as e:
        raise ModelError(f"{file}: cannot be read ({e})") from e
    if digest(card["architecture"], state) != card["checksum"]:
        raise ModelError(f"{file}: is not the file that card.json describes (checksum differs); copy both again")
    return state


def fill(model: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
    """Set the tensors of `model`, made after the card's architecture. Raises ModelError where they do not fit it."""
    try:
        model.load_state_dict({_in_memory(key): tensor for key, tensor in state.items()})
    except RuntimeError as e:
        file = folder / "model.safetensors"
        raise ModelError(f"{file}: does not fit the architecture in card.json ({str(e)[:300]})") from e


def digest(architecture: dict, state: dict[str, Tensor]) -> str:
    """Hex digest of an architecture and every tensor."""
    found = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode())
    for key, held in sorted((_on_disk(key), tensor) for key, tensor in state.items()):
        tensor = held.detach().cpu().contiguous()
        found.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _on_disk(key: str) -> str:
    return key.replace("backbone.", "trunk.", 1) if key.startswith("backbone.") else key


def _in_memory(key: str) -> str:
    return key.replace("trunk.", "backbone.", 1) if key.startswith("trunk.") else key
