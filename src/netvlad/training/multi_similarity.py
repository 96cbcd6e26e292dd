"""The multi-similarity loss on batches of places, all photos of which are compared with all."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from netvlad.errors import NetvladError
from netvlad.places import Places
from netvlad.registry import register_loss
from netvlad.training.devices import EXTRA
from netvlad.training.network import TrainableNetwork
from netvlad.training.photo_rows import PhotoRows
from netvlad.training.place_sampler import PlaceSampler
from netvlad.training.record import StepStats
from netvlad.types import IntArray


@register_loss("multi-similarity")
class MultiSimilarityObjective:
    """The multi-similarity loss and its miner (Wang et al., CVPR 2019) with the parameters of GSV-Cities.

    Database and queries together are grouped into places; len(): places. skipped: photos in no place with two.
    """

    def __init__(self, network: TrainableNetwork, database: Places, queries: Places, rows: PhotoRows) -> None:
        try:
            from pytorch_metric_learning import distances, losses, miners
        except ImportError as e:
            raise NetvladError(f"the loss multi-similarity needs pytorch-metric-learning: {EXTRA}") from e
        self.network = network
        photos = Places.concat([database, queries[~np.isin(queries.path, database.path)]])
        self.places = PlaceSampler(photos, network.config)
        self.batch, self.skipped = network.config.batch, self.places.skipped
        self.rows = rows.add(photos.path)
        similarity = distances.CosineSimilarity()
        self._miner = miners.MultiSimilarityMiner(epsilon=0.1, distance=similarity)
        self._loss = losses.MultiSimilarityLoss(alpha=1.0, beta=50.0, base=0.0, distance=similarity)

    def __len__(self) -> int:
        return len(self.places)

    def order(self, epoch: int) -> IntArray:
        return self.places.order(epoch)

    def stale(self, since: int | None, interval: int) -> bool:
        """Nothing is cached."""
        return False

    def refresh(self, epoch: int, coming: IntArray, interval: int, block: int) -> None:
        """Nothing is cached."""

    def tensors(self, since: int | None) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        pass

    def backward(self, places: list[int], epoch: int) -> StepStats:
        """Set the gradient of a batch of places; with several processes, of the mean over their parts."""
        network, devices = self.network, self.network.devices
        mine = self.places.apart(places)[devices.rank :: devices.world]
        groups = [self.places.photos(place, epoch) for place in mine]
        rows = self.rows[np.concatenate([np.empty(0, np.int64), *groups])].tolist()
        labels = torch.from_numpy(np.repeat(np.arange(len(groups)), [len(group) for group in groups]))
        with network.timed("loading"):
            batches = network.training_batches(rows, epoch, places[0])
        with network.timed("forward"):
            vectors = network.vectors(batches, len(rows))
            read = torch.tensor(sorted(p for batch in batches for p in batch.positions), dtype=torch.long)
            loss, pairs = self.loss(vectors[read], labels[read].to(vectors.device))
        return network.backward_mean(loss, len(mine), pairs, len(places))

    def loss(self, vectors: Tensor, labels: Tensor) -> tuple[Tensor, int]:
        """The loss of vectors (n, D) of the places `labels` (n,), and the number of mined pairs."""
        if not len(vectors):
            return vectors.sum(), 0
        pairs = self._miner(vectors, labels)
        count = len(pairs[0]) + len(pairs[2])
        return (self._loss(vectors, labels, pairs) if count else vectors.sum() * 0), count

    def refuse_unreadable(self) -> None:
        """Raises NetvladError where no photo of any place can be read."""
        self.network.refuse_unreadable("photos", self.rows[np.concatenate(self.places.members)])
