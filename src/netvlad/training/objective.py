"""What a run minimises: the interface of objectives, and the objective of a loss by name."""

from __future__ import annotations

from typing import Protocol

import torch

from netvlad.places import Places
from netvlad.registry import losses
from netvlad.training.network import TrainableNetwork
from netvlad.training.photo_rows import PhotoRows
from netvlad.training.record import StepStats
from netvlad.training.tuple_objective import TupleObjective
from netvlad.types import IntArray


class Objective(Protocol):
    """Forms batches and computes their gradient; len(): its units, which are queries or places.

    batch: units a step. skipped: queries or photos that nothing can be learnt from.
    """

    batch: int
    skipped: int

    def __len__(self) -> int: ...

    def order(self, epoch: int) -> IntArray:
        """All units in the random order of an epoch."""

    def stale(self, since: int | None, interval: int) -> bool:
        """Whether a refresh is due, `since` units after the last one (None: there was none)."""

    def refresh(self, epoch: int, coming: IntArray, interval: int, block: int) -> None:
        """Recompute the cached descriptors that the next `interval` of the `coming` units need.

        block: number of this refresh within its epoch.
        """

    def backward(self, units: list[int], epoch: int) -> StepStats:
        """Set the gradients of a batch. Raises Diverged for a loss that is not finite."""

    def tensors(self, since: int | None) -> dict[str, torch.Tensor]:
        """What a checkpoint stores of the objective."""

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take back what `tensors` returned; may change the network's parameters."""

    def refuse_unreadable(self) -> None:
        """Raises NetvladError where none of the photos can be read."""


def make_objective(network: TrainableNetwork, database: Places, queries: Places, rows: PhotoRows) -> Objective:
    """The objective of the loss that the network's settings name. Raises NetvladError for an unknown loss."""
    entry = losses.get(network.config.loss)
    if isinstance(entry, type):
        objective: Objective = entry(network, database, queries, rows)
        return objective
    return TupleObjective(network, database, queries, rows, entry)
