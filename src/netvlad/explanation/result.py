"""The explanation of a similarity, as plain arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from netvlad.types import Array, FloatArray


@dataclass(frozen=True)
class Pair:
    """Two spots that agree. query, match: (x, y) of their middles, 0..1 from the photo's upper left corner.

    share: what they add to the similarity.
    """

    query: tuple[float, float]
    match: tuple[float, float]
    share: float


@dataclass(frozen=True, eq=False)
class ClusterShare:
    """What one cluster centre adds to the similarity, as the query and as the match has it; without a whitening equal.

    query_map, match_map: where in the photos, as the maps of the `Explanation`, which are the sums over all clusters.
    """

    cluster: int
    query_share: float
    match_share: float
    query_map: FloatArray
    match_map: FloatArray


@dataclass(frozen=True, eq=False)
class Explanation:
    """What in a query and a match makes them similar, the norms of their vectors held fixed.

    similarity: cosine of their vectors. exact: whether the maps are its parts, or found by occlusion.
    query_map (h, w), match_map (h', w'): what each location adds to the similarity; rows and columns lie evenly over
    the photo. Exact maps and their constant sum to the similarity: `query_constant` is what no location of the query
    adds (-g . mean, of a whitening), 0 without a whitening. Maps of occlusion are the loss of similarity where a window
    covers the photo; they sum to nothing, their constants are None, and there is no more.
    table: (r, c, r', c'), what each pair of cells adds, cell (i, j) of a photo being the i-th of r rows and the j-th of
    c columns of its map (row y of h belongs to y * r // h); constants are shared evenly by the locations, so that the
    whole table sums to the similarity. pairs: the strongest, strongest first, no two of which touch in either photo.
    clusters: the centres that add most; none for poolings without centres.
    """

    similarity: float
    exact: bool
    query_map: FloatArray
    match_map: FloatArray
    query_constant: float | None = None
    match_constant: float | None = None
    table: FloatArray | None = None
    pairs: tuple[Pair, ...] = ()
    clusters: tuple[ClusterShare, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON: arrays as nested lists of numbers of four digits."""
        return {
            "similarity": self.similarity,
            "exact": self.exact,
            "query_map": _plain(self.query_map),
            "match_map": _plain(self.match_map),
            "query_constant": self.query_constant,
            "match_constant": self.match_constant,
            "table": None if self.table is None else _plain(self.table),
            "pairs": [asdict(pair) for pair in self.pairs],
            "clusters": [
                {**vars(share), "query_map": _plain(share.query_map), "match_map": _plain(share.match_map)}
                for share in self.clusters
            ],
        }


def _plain(array: Array) -> Any:
    """Nested lists of an array, rounded so that its largest number keeps four digits."""
    largest = float(np.abs(array).max(initial=0))
    digits = 3 - int(np.floor(np.log10(largest))) if largest > 0 else 0
    return array.astype(np.float64).round(digits).tolist()
