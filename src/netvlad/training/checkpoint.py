"""The state of a run in one file: tensors as safetensors, the rest as JSON in its header.

The cached descriptors are stale by design: most of them come from weights that are gone. They are by far the largest
part, so they are not stored; the weights that made them are, and the objective recomputes them to the same bits.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from netvlad.errors import NetvladError
from netvlad.runtime.files import atomic
from netvlad.training.record import Epoch, TrainerState

FORMAT = "1"
NOW, BEST, OPTIMIZER = "now.", "best.", "optimizer."  # prefixes of tensor names; the objective's have none of these


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on.

    settings: key -> value. data: fingerprint of the tables. state, epoch: where it stands; epoch None: the next one has
    not begun. progress: of its `Record`. now, best: name -> trained parameter; best is empty before the first epoch
    ends. optimizer: name -> state -> tensor. objective: what the objective needs to go on.
    """

    settings: dict[str, Any]
    data: str
    state: TrainerState
    epoch: Epoch | None
    progress: dict[str, Any]
    now: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, dict[str, Tensor]]
    objective: dict[str, Tensor]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `path`; after a kill it is the whole new file or the whole old one."""
    from safetensors.torch import save_file

    header = {
        "at": asdict(checkpoint.state),
        "record": checkpoint.progress,
        "epoch": asdict(checkpoint.epoch) if checkpoint.epoch else None,
        "settings": checkpoint.settings,
        "data": checkpoint.data,
    }
    tensors = {NOW + name: tensor for name, tensor in checkpoint.now.items()}
    tensors |= {BEST + name: tensor for name, tensor in checkpoint.best.items()}
    for name, state in checkpoint.optimizer.items():
        tensors |= {f"{OPTIMIZER}{what}.{name}": tensor for what, tensor in state.items()}
    tensors |= checkpoint.objective
    # safetensors refuses tensors that share memory, hence the copies
    copied = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        save_file(copied, temporary, {"format": FORMAT, "state": json.dumps(header)})


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote. Raises NetvladError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            # version 0.1.0 called the backbone trunk
            names = {name.replace(".trunk.", ".backbone.", 1): name for name in file.keys()}  # noqa: SIM118 - no dict
            tensors = {name: file.get_tensor(stored) for name, stored in names.items()}
        if about.get("format") != FORMAT:
            raise NetvladError(f"a checkpoint of format {about.get('format')}; this version reads {FORMAT}", path=path)
        return _made(json.loads(about["state"]), tensors)
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        raise NetvladError(f"is not a checkpoint ({type(e).__name__}: {e})", path=path) from e


def _made(header: dict[str, Any], tensors: dict[str, Tensor]) -> Checkpoint:
    optimizer: dict[str, dict[str, Tensor]] = {}
    for stored, tensor in _part(tensors, OPTIMIZER).items():
        what, _, name = stored.partition(".")
        optimizer.setdefault(name, {})[what] = tensor
    progress = header["record"]
    epochs = [Epoch(**epoch) for epoch in progress["epochs"]]  # as `Record.restore` will
    if not all(isinstance(part, dict) for part in (header["settings"], progress, *(e.seconds for e in epochs))):
        raise TypeError("its settings or its record have another shape")
    others = {name: t for name, t in tensors.items() if not name.startswith((NOW, BEST, OPTIMIZER))}
    return Checkpoint(
        settings=header["settings"],
        data=header["data"],
        state=TrainerState(**header["at"]),
        epoch=Epoch(**header["epoch"]) if header["epoch"] else None,
        progress=progress,
        now=_part(tensors, NOW),
        best=_part(tensors, BEST),
        optimizer=optimizer,
        objective=others,
    )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
