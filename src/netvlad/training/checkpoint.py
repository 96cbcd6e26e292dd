"""Where a run stands, in one file: tensors as safetensors, the rest as JSON in its header.

The cached descriptors are stale by design: most of them were made by weights that are gone. They are not stored, being
by far the largest part, but the weights that made them are: `restore` makes them again, to the same bits.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netvlad.errors import NetvladError
from netvlad.runtime.files import atomic
from netvlad.training.keys import flat
from netvlad.training.optimizer import put_back
from netvlad.training.record import Epoch

if TYPE_CHECKING:
    from netvlad.training.trainer import Training

FORMAT = "1"
FREE = ("checkpoint_every", "folder", "device", "confirmed")  # settings that change no number


def write(path: Path, training: Training, data: str) -> None:
    """Write the checkpoint; the file is whole or the one before. data: the fingerprint of the tables."""
    from safetensors.torch import save_file

    state = {
        "at": asdict(training.at),
        "record": training.record.progress(),
        "epoch": training.current and asdict(training.current),
        "settings": flat(training.config),
        "data": data,
    }
    tensors = {key: t.detach().cpu().contiguous() for key, t in _tensors(training).items()}
    with atomic(path) as temporary:
        save_file(tensors, temporary, {"format": FORMAT, "state": json.dumps(state)})


def _tensors(training: Training) -> dict[str, Tensor]:
    network, names = training.network, training.network.names
    out = {f"now.{name}": p for name, p in zip(names, network.parameters, strict=True)}
    if training.record.best:
        out |= {f"best.{name}": p for name, p in zip(names, training.best, strict=True)}
    for i, state in training.optimizer.state_dict()["state"].items():
        out |= {f"optimizer.{key}.{names[i]}": t for key, t in state.items() if t is not None}
    out |= training.lessons.tensors(training.at.since)
    return {key: t.clone() for key, t in out.items()}  # none of them shares memory, which the format does not know


def restore(training: Training, path: Path, data: str) -> None:
    """Take a run up where its checkpoint was written.

    Raises NetvladError: the file cannot be read, or settings or tables are not those of the run.
    """
    state, tensors = _read(path)
    was, now = state["settings"], flat(training.config)
    differs = [f"{k} {was.get(k)}, not {v}" for k, v in now.items() if k not in FREE and was.get(k) != v]
    if differs:
        raise NetvladError(f"{path.parent} was begun with {'; '.join(differs)}: start another run for that")
    if state["data"] != data:
        raise NetvladError(f"{path.parent} was begun with other photos or positions: the tables have changed since")
    network = training.network
    training.at = type(training.at)(**state["at"])
    training.record.go_on(state["record"])
    training.current = Epoch(**state["epoch"]) if state["epoch"] else None
    if training.record.best:
        training.best = [tensors[f"best.{name}"].clone() for name in network.names]
    training.lessons.restore(tensors)
    put_back(network.parameters, [tensors[f"now.{name}"] for name in network.names])
    _set_optimizer(training.optimizer, network.names, tensors)


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            # checkpoints of version 0.1.0 call the backbone trunk
            names = {key.replace(".trunk.", ".backbone.", 1): key for key in file.keys()}  # noqa: SIM118 - it is no dict
            tensors = {name: file.get_tensor(key) for name, key in names.items()}
        if about.get("format") != FORMAT:
            raise NetvladError(f"{path}: a checkpoint of format {about.get('format')}; this version reads {FORMAT}")
        return json.loads(about["state"]), tensors
    except (OSError, SafetensorError, ValueError, KeyError) as e:
        raise NetvladError(f"{path}: is not a checkpoint ({type(e).__name__}: {e})") from e


def _set_optimizer(optimizer: torch.optim.Optimizer, names: list[str], tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {i: {} for i in range(len(names))}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, what, name = key.split(".", 2)
            state[names.index(name)][what] = tensor.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": {i: s for i, s in state.items() if s}, "param_groups": groups})
