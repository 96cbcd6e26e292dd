"""The softmax loss on a batch of queries, their positives and hard negatives, all compared with all."""

from __future__ import annotations

import numpy as np
import torch

from netvlad.places import Places
from netvlad.registry import register_loss
from netvlad.training.cameras import Cameras
from netvlad.training.config import Mining
from netvlad.training.losses import softmax_loss
from netvlad.training.network import TrainableNetwork
from netvlad.training.photo_rows import PhotoRows
from netvlad.training.record import StepStats
from netvlad.training.tuple_objective import TupleObjective
from netvlad.training.tuples import agree, moments
from netvlad.types import BoolArray, IntArray

BEYOND = 4.0  # largest squared distance of unit vectors: with it as margin, every negative violates


@register_loss("softmax")
class SoftmaxObjective(TupleObjective):
    """As `TupleObjective`, with `mining.negatives` hard negatives of each query, drawn from the remembered ones.

    Each photo of a batch is a query. Fixed cameras, where there are any, form a second batch.
    """

    def __init__(self, network: TrainableNetwork, database: Places, queries: Places, rows: PhotoRows) -> None:
        super().__init__(network, database, queries, rows)
        self.tuples.margin = BEYOND
        known = np.flatnonzero(self.row_of >= 0)
        new = known[~np.isin(self.row_of[known], self.database_rows)]
        self.places = Places.concat([database, queries[new]])
        self._at = np.full(len(rows), -1, np.int64)
        self._at[np.concatenate([self.database_rows, self.row_of[new]])] = np.arange(len(self.places))
        self._relations = Relations(self.places, self.config.mining)
        file = self.config.cameras
        self.cameras = Cameras(file, self.config, rows) if file is not None else None

    def backward(self, queries: list[int], epoch: int) -> StepStats:
        """Set the gradient of the mean loss of a batch; with several processes, of the mean over their parts."""
        network, devices = self.network, self.network.devices
        mine = queries[devices.rank :: devices.world]
        with network.timed("mining"):
            rows = np.unique(np.concatenate([np.empty(0, np.int64), *(self._photos(q, epoch) for q in mine)]))
        loss, count = self._loss(rows, epoch, queries[0])
        if self.cameras:
            beside, more = self.cameras.loss(network, epoch, queries[devices.rank % len(queries)])
            loss, count = loss + beside, count + more
        return network.backward_mean(loss, len(mine), count, len(queries))

    def _photos(self, query: int, epoch: int) -> IntArray:
        """Rows of a query, its positive and some of its hard negatives, drawn."""
        row, mined = int(self.row_of[query]), self.mine(query, epoch)
        if mined is None:
            return np.array([row])
        hard = self.tuples.remembered[query]
        hard = hard[hard >= 0] if (hard >= 0).any() else mined.negatives
        rng = np.random.default_rng([self.config.seed, 6, epoch, query])
        hard = rng.permutation(hard)[: self.config.mining.negatives]
        return np.concatenate([[row], self.database_rows[[mined.positive, *hard]]])

    def _loss(self, rows: IntArray, epoch: int, unit: int) -> tuple[torch.Tensor, int]:
        network = self.network
        with network.timed("loading"):
            batches = network.training_batches(rows.tolist(), epoch, unit)
        with network.timed("forward"):
            vectors = network.vectors(batches, len(rows))
            read = np.sort(np.array([p for batch in batches for p in batch.positions], np.int64))
            masks = self._relations.of(self._at[rows[read]])
            positive, negative = (torch.from_numpy(mask).to(vectors.device) for mask in masks)
            return softmax_loss(vectors[torch.from_numpy(read)], positive, negative, self.config.temperature)


class Relations:
    """Potential positives and definite negatives between the photos of one table."""

    def __init__(self, places: Places, mining: Mining) -> None:
        self.places, self.mining = places, mining
        self._moments = moments(places, mining.positives)

    def of(self, rows: IntArray) -> tuple[BoolArray, BoolArray]:
        """positive, negative (n, n) bool, between the photos at `rows` (n,)."""
        rule, part = self.mining, self.places[rows]
        metres = np.linalg.norm(part.xyz[:, None] - part.xyz, axis=-1)  # chords, which metres apart equal arcs
        shared = (part.place[:, None] == part.place) & (part.place != "")
        by_label = np.isnan(metres)
        near = (metres <= rule.positive_radius) & (metres > (-1 if rule.apart is None else rule.apart))
        moment = self._moments[rows]
        positive = np.where(by_label, shared, near) & agree(rule.positives, moment[:, None], moment)
        return positive & (part.path[:, None] != part.path), np.where(by_label, ~shared, metres > rule.negative_radius)
