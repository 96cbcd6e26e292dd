"""One process, or many that learn from each batch together."""

from __future__ import annotations

import os
from functools import lru_cache

import torch
from torch import Tensor

from netvlad.errors import NetvladError

EXTRA = "pip install 'netvlad[train]'"


class Alone:
    """The only process; nothing has to be shared."""

    rank, world = 0, 1

    def __init__(self, device: str):
        if device == "cuda" and not torch.cuda.is_available():
            raise NetvladError("device cuda: no GPU is seen here; choose cpu, or auto")
        self.device = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        return tensor

    def wait(self) -> None:
        """Until all processes are here."""


class Many:
    """One of the processes that torchrun started, a GPU or some CPU cores each, joined by Lightning Fabric."""

    def __init__(self, device: str):
        try:
            from lightning_fabric import Fabric
        except ImportError as e:
            raise NetvladError(f"training in many processes needs Lightning Fabric: {EXTRA}") from e
        here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
        nodes = int(os.environ["WORLD_SIZE"]) // here
        self._fabric = Fabric(accelerator=device, devices=here, num_nodes=nodes, strategy="ddp")
        self._fabric.launch()
        self.rank, self.world, self.device = self._fabric.global_rank, self._fabric.world_size, self._fabric.device

    def total(self, tensor: Tensor) -> Tensor:
        return self._fabric.all_reduce(tensor.to(self.device), reduce_op="sum").to(tensor.device)

    def wait(self) -> None:
        self._fabric.barrier()


@lru_cache
def join(device: str) -> Alone | Many:
    """This process among those that train: `torchrun` says how many there are. Raises NetvladError: no GPU, no Fabric.

    Fabric launches the processes' group and finds the devices. Gradients are added up here rather than by
    DistributedDataParallel, which waits for a backward pass of every process: a process all of whose tuples are learnt
    already has none.
    """
    return Many(device) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Alone(device)
