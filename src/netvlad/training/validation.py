"""recall@5 on held-out places, which chooses the best epoch (paper, appendix A)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from netvlad.errors import NetvladError, PlacesError
from netvlad.evaluation.recall import recall_at
from netvlad.places import Places, dates
from netvlad.places.place_matches import is_place_match, place_matches
from netvlad.training.network import TrainableNetwork
from netvlad.training.photo_rows import PhotoRows

N = 5


class Validation:
    """At most `limit` of the `queries` with a true match in `database`, within `radius` metres or of the same label.

    chosen: (Q',) their rows. The query photo itself is left out of its ranking; with other_dates, so are all photos of
    its date. Raises PlacesError when no query has a match.
    """

    def __init__(
        self, database: Places, queries: Places, *, radius: float, limit: int, other_dates: bool = False, seed: int = 0
    ):
        near = place_matches(queries, database, radius)
        held, asked = dates(database), dates(queries)
        own = np.repeat(np.arange(len(queries)), np.diff(near.offsets))
        possible = database.path[near.ids] != queries.path[own]
        if other_dates:
            possible &= held[near.ids] != asked[own]  # NaT differs from all: nothing says that the dates are the same
        own = own[possible]
        matched = np.unique(own)
        if not len(matched):
            what = "of another date " if other_dates else ""
            raise PlacesError(
                f"none of the {len(queries)} validation queries has a database photo {what}within {radius:g} m"
            )
        if len(matched) > limit:
            matched = np.sort(np.random.default_rng([seed, 2]).choice(matched, limit, replace=False))
        self.chosen = matched
        self.radius = radius
        self._dates = (asked[matched], held) if other_dates else None
        self._database, self._queries = database, queries[matched]
        number = {path: i for i, path in enumerate(database.path)}
        self._file = np.array([number[path] for path in database.path])  # photos that are the same have one number
        self._own = np.array([number.get(path, -1) for path in self._queries.path])

    def recall(self, queries: Tensor, database: Iterable[tuple[Sequence[int], Tensor]]) -> float:
        """Share, 0..1, of the queries with a match among their 5 nearest; those that cannot be read do not count.

        queries (Q', D), NaN where unreadable; database: (rows, vectors (n, D)) bit by bit: they are never all there.
        Raises NetvladError where no query can be read.
        """
        readable = torch.isfinite(queries).all(dim=1).cpu().numpy()
        if not readable.any():
            raise NetvladError("none of the validation queries can be read")
        best = queries.new_full((len(queries), N), -torch.inf)
        ids = torch.full((len(queries), N), -1, device=queries.device)
        for rows, vectors in database:
            cosines = (queries @ vectors.T).nan_to_num(-torch.inf)  # NaN would stand before all others
            same = self._own[:, None] == self._file[None, rows]
            if self._dates:
                asked, held = self._dates
                same |= asked[:, None] == held[None, rows]
            cosines[torch.from_numpy(same).to(cosines.device)] = -torch.inf
            candidates = torch.cat([ids, torch.as_tensor(rows, device=ids.device).expand(len(ids), -1)], dim=1)
            best, places = torch.cat([best, cosines], dim=1).topk(N, dim=1)
            ids = candidates.gather(1, places).masked_fill(best == -torch.inf, -1)
        correct = is_place_match(self._queries, self._database, ids.cpu().numpy(), self.radius)
        return recall_at(correct, readable, [N])[N]


class NetworkValidation:
    """The recall@5 of a network in training; tables: the held-out database and queries."""

    def __init__(self, network: TrainableNetwork, tables: tuple[Places, Places], rows: PhotoRows) -> None:
        database, queries = tables
        config, self.network = network.config, network
        self._validation = Validation(
            database,
            queries,
            radius=config.validation_radius,
            limit=config.validation_queries,
            other_dates=config.other_dates,
            seed=config.seed,
        )
        self.database_rows = rows.add(database.path)
        self.query_rows = rows.add(queries.path[self._validation.chosen])

    @torch.no_grad()
    def recall(self) -> float:
        network = self.network
        with network.timed("validation"):
            queries = network.vectors(network.source.take(self.query_rows.tolist()), len(self.query_rows))
            database = ((b.positions, network.head(b)) for b in network.source.take(self.database_rows.tolist()))
            found = self._validation.recall(queries, database)
            # the first process decides for all which epoch is best
            share = torch.tensor([found if network.devices.rank == 0 else 0.0], dtype=torch.float64)
            return float(network.devices.total(share))
