"""How many lists of codes are looked at and how many matches are re-scored: chosen by measuring on the map itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from netvlad.types import Array, IntArray

DEPTHS = (50, 100, 200, 400, 800, 1600, 3200, 6400, 12800)  # matches that may be re-scored
SHARES = (1.0, 0.1, 0.01)  # of the vectors, among which it is measured
CODES_A_READ = 150  # codes that are compared in the time in which one vector is read and compared


@dataclass(frozen=True)
class Tuning:
    """How codes are searched, and what that finds: for each of SHARES of the vectors, among which it is searched.

    probed: lists that are looked at. rescored: matches whose vectors are read. recall: share of the 10 nearest that is
    found, by `asked` vectors of the map itself.
    """

    probed: tuple[int, ...]
    rescored: tuple[int, ...]
    recall: tuple[float, ...]
    asked: int

    def effort(self, share: float) -> tuple[int, int]:
        """Lists to look at and matches to re-score among `share` of the vectors: the more of the next two measured."""
        more = max((i for i, measured in enumerate(SHARES) if measured >= share), default=0)
        less = min((i for i, measured in enumerate(SHARES) if measured <= share), default=len(SHARES) - 1)
        return max(self.probed[more], self.probed[less]), max(self.rescored[more], self.rescored[less])

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Tuning:
        """What `to_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        probed, rescored, recall = (tuple(data[name]) for name in ("probed", "rescored", "recall"))
        if {len(probed), len(rescored), len(recall)} != {len(SHARES)}:
            raise ValueError("was measured among other shares")
        return cls(probed, rescored, recall, data["asked"])


def recalls(found: IntArray, wanted: IntArray) -> Array:
    """Share of `wanted` (Q, k), -1 for none, among the first of `found` (Q, n), for each of DEPTHS that n reaches."""
    hits = (found[:, :, None] == wanted[:, None, :]) & (wanted >= 0)[:, None, :]
    upto = hits.any(axis=2).sum(axis=0).cumsum() / max(1, (wanted >= 0).sum())
    found_by: Array = upto[[min(depth, found.shape[1]) - 1 for depth in DEPTHS]]
    return found_by


def cheapest(measured: dict[int, Array], length: float, recall: float) -> tuple[int, int, float]:
    """Lists to probe, depth and recall: the fastest that has the `recall`, or the best where none has.

    measured: lists -> recall for each of DEPTHS. length: codes of a list on average.
    """
    every = [
        (probed, depth, float(r)) for probed, row in measured.items() for depth, r in zip(DEPTHS, row, strict=True)
    ]
    good = [found for found in every if found[2] >= recall]
    if not good:
        return max(every, key=lambda found: (found[2], -found[0], -found[1]))
    return min(good, key=lambda found: found[0] * length / CODES_A_READ + found[1])
