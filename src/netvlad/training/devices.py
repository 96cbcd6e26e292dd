"""One process, or several that share each batch (torchrun)."""

from __future__ import annotations

import os
from functools import lru_cache

import torch
from torch import Tensor

from netvlad.describe.device import check_device, network_device
from netvlad.errors import NetvladError

AUTO = "auto"  # as $NETVLAD_DEVICE says, else a GPU where there is one
EXTRA = "pip install 'netvlad[train]'"


class SingleProcess:
    """The only process."""

    rank, world = 0, 1

    def __init__(self, device: str) -> None:
        if device != AUTO:
            check_device(device)
        self.device = torch.device(network_device() if device == AUTO else device)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        return tensor

    def wait(self) -> None:
        """Wait for all processes."""


class ProcessGroup:
    """One of several processes, with a GPU or some CPU cores each, joined by Lightning Fabric."""

    def __init__(self, device: str) -> None:
        try:
            from lightning_fabric import Fabric
        except ImportError as e:
            raise NetvladError(f"training in many processes needs Lightning Fabric: {EXTRA}") from e
        if device.startswith("cuda:"):
            raise NetvladError(f"of several processes each takes a card of its own: choose cuda, and not {device}")
        if device != AUTO:
            check_device(device)
        here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
        nodes = int(os.environ["WORLD_SIZE"]) // here
        self._fabric = Fabric(accelerator=device, devices=here, num_nodes=nodes, strategy="ddp")
        self._fabric.launch()
        self.rank, self.world, self.device = self._fabric.global_rank, self._fabric.world_size, self._fabric.device

    def total(self, tensor: Tensor) -> Tensor:
        total = self._fabric.all_reduce(tensor.to(self.device), reduce_op="sum")
        assert isinstance(total, Tensor)  # as it was given: Fabric takes collections as well
        return total.to(tensor.device)

    def wait(self) -> None:
        self._fabric.barrier()


def rank() -> int:
    """Number of this process among those that `torchrun` started, 0 for the first and for a single one."""
    return int(os.environ.get("RANK", "0"))


@lru_cache
def join(device: str) -> SingleProcess | ProcessGroup:
    """This process among those that `torchrun` started. Raises NetvladError for a device that is not here, and
    without Fabric.

    Fabric launches the process group and finds the devices. Gradients are added up here rather than by
    DistributedDataParallel, which waits for a backward pass of every process: a process without violating triplets has
    none.
    """
    return ProcessGroup(device) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else SingleProcess(device)
