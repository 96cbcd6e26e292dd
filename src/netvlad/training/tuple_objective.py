"""Losses on tuples that are mined by cached descriptors (paper, section 4 and appendix A)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from netvlad.places import Places
from netvlad.training.descriptor_cache import DescriptorCache
from netvlad.training.losses import Diverged, ranking_loss
from netvlad.training.network import TrainableNetwork
from netvlad.training.optimizer import copies, put_back
from netvlad.training.photo_rows import PhotoRows
from netvlad.training.record import StepStats
from netvlad.training.tuples import Tuple, Tuples
from netvlad.types import IntArray

TupleLoss = Callable[[Tensor, Tensor, Tensor, float], "Tensor | tuple[Tensor, int]"]


class TupleObjective:
    """The objective of a loss on tuples of `queries` against `database`; skipped: queries without a tuple.

    loss: as `netvlad.registry.losses` describes it. The cached descriptors are those of the last `refresh`: of all
    photos, or in a partial cache of those that the queries of its `block` need.
    """

    def __init__(
        self,
        network: TrainableNetwork,
        database: Places,
        queries: Places,
        rows: PhotoRows,
        loss: TupleLoss = ranking_loss,
    ) -> None:
        self.network, self.config, self.loss = network, network.config, loss
        config = self.config
        self.tuples = Tuples(database, queries, config.mining, margin=config.margin, seed=config.seed)
        used = self.tuples.usable
        self.batch, self.skipped = config.batch, len(queries) - len(used)
        self.database_rows = rows.add(database.path)
        self.row_of = np.full(len(queries), -1, np.int64)
        self.row_of[used] = rows.add(queries.path[used])
        self.cache = DescriptorCache(len(rows), network.model.dim, memory=config.memory, folder=config.folder)
        self.refreshed, self.at_refresh, self.block = np.arange(len(rows)), copies(network.parameters), 0

    def __len__(self) -> int:
        return len(self.tuples.usable)

    def order(self, epoch: int) -> IntArray:
        return self.tuples.order(epoch)

    # -- the cache ------------------------------------------------------------------------------------------------

    def stale(self, since: int | None, interval: int) -> bool:
        """Whether the cache has to be refreshed, `since` queries after it was (None: never)."""
        return since is None or since >= interval

    def refresh(self, epoch: int, coming: IntArray, interval: int, block: int) -> None:
        """Recompute the cached descriptors: all, or those that the next `interval` of the `coming` queries need.

        block: number of this refresh within its epoch.
        """
        self.block = block
        if self.config.cache == "partial":
            next_ones = coming[: math.ceil(interval / self.batch) * self.batch]  # whole batches
            database = self.database_rows[self.tuples.needed(next_ones, epoch, block)]
            self.refreshed = np.unique(np.concatenate([database, self.row_of[next_ones]]))
        self.at_refresh = copies(self.network.parameters)
        self._describe()

    def _describe(self) -> None:
        with self.network.timed("cache"):
            self.network.fill(self.cache, self.refreshed)

    def tensors(self, since: int | None) -> dict[str, Tensor]:
        """What a checkpoint stores: not the cached descriptors, which are large, but the weights that made them."""
        out = {"remembered": torch.from_numpy(self.tuples.remembered)}
        if since is not None:
            out |= {"refreshed": torch.from_numpy(self.refreshed), "block": torch.tensor(self.block)}
            out |= {f"refresh.{n}": p for n, p in zip(self.network.names, self.at_refresh, strict=True)}
        return out

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` returned, and recompute the cache by the weights of then; changes the parameters."""
        self.tuples.remembered[:] = tensors["remembered"].numpy()
        if "refreshed" in tensors:
            self.refreshed, self.block = tensors["refreshed"].numpy().copy(), int(tensors["block"])
            put_back(self.network.parameters, [tensors[f"refresh.{name}"] for name in self.network.names])
            self.at_refresh = copies(self.network.parameters)
            self._describe()

    def mine(self, query: int, epoch: int) -> Tuple | None:
        """The tuple of a query by the cached descriptors."""
        row = int(self.row_of[query])
        block = self.block if self.config.cache == "partial" else None
        return self.tuples.mine(
            query, epoch, lambda ids: self.cache.squared_distances(row, self.database_rows[ids]), block
        )

    # -- gradients ------------------------------------------------------------------------------------------------

    def backward(self, queries: list[int], epoch: int) -> StepStats:
        """Set the gradient of a batch, divided by the number of its violating triplets (paper, appendix A).

        Each of several processes takes its share of the queries; the sums are of all.
        """
        devices, stats = self.network.devices, StepStats()
        mine = queries[devices.rank :: devices.world]
        try:
            for query in mine:
                self._add_gradient(query, epoch, stats)
        except Diverged:
            if devices.world == 1:
                raise
            stats.loss = float("nan")  # the other processes wait for the sums, and learn of it there
        self._add_up(queries, mine, stats)
        if not math.isfinite(stats.loss):
            raise Diverged(f"the loss is {stats.loss}")
        if stats.violating:
            with self.network.timed("backward"):
                self.network.add_gradients()
                for parameter in self.network.parameters:
                    if parameter.grad is not None:
                        parameter.grad /= stats.violating
        return stats

    def _add_gradient(self, query: int, epoch: int, stats: StepStats) -> None:
        network = self.network
        with network.timed("mining"):
            mined = self.mine(query, epoch)
        if mined is None:
            return
        rows = [int(self.row_of[query]), *self.database_rows[[mined.positive, *mined.negatives]].tolist()]
        with network.timed("loading"):
            batches = network.training_batches(rows, epoch, query)
        with network.timed("forward"):
            vectors = network.vectors(batches, len(rows))
            found = self.loss(vectors[0], vectors[1:2], vectors[2:], self.config.margin)
            loss, count = found if isinstance(found, tuple) else (found, 1)
        if not count:  # by the cached descriptors they violated the margin; now they do not
            return
        with network.timed("backward"):
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        stats.loss += loss.item()
        stats.tuples += 1
        stats.violating += count

    def _add_up(self, queries: list[int], mine: list[int], stats: StepStats) -> None:
        """Sum the counts of all processes, and exchange the negatives they keep for the next visit."""
        devices, remembered = self.network.devices, self.tuples.remembered
        if devices.world == 1:
            return
        counts = devices.total(torch.tensor([stats.loss, stats.tuples, stats.violating], dtype=torch.float64))
        stats.loss, stats.tuples, stats.violating = float(counts[0]), int(counts[1]), int(counts[2])
        remembered[np.setdiff1d(queries, mine)] = 0
        remembered[queries] = devices.total(torch.from_numpy(remembered[queries])).numpy()

    def refuse_unreadable(self) -> None:
        """Raises NetvladError where no query, or no database photo, can be read."""
        self.network.refuse_unreadable("database photos", self.database_rows)
        self.network.refuse_unreadable("queries", self.row_of[self.row_of >= 0])
