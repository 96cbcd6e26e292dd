"""The rules by which a ranking is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Protocol:
    """How a ranking is judged.

    radius: a query counts at N when one of its N best matches lies within so many metres (paper, section 5.1), or has
    its place label where either has no position (`netvlad.places.place_matches`). None: a benchmark lists the true
    matches. ns: the N of recall@N.
    unmatched: "keep" leaves queries without any true match in the denominator, as the authors' code does; "drop" leaves
    them out. Either way they are counted and reported.
    best_per_panorama: only the best cut-out of each panorama stays in a ranking before it is cut at N, the rule of
    Tokyo 24/7.
    other_dates: database photos of the query's own date do not count, the rule of Tokyo Time Machine. They leave the
    ranking before it is cut at N, and a query with no other true match has none.
    heading: degrees by which the headings of a query and its match may differ besides; None, any.
    frames: frames of a video by which a listed match may be off, where that is the benchmark's rule.
    benchmark: its name, "" for photos of one's own. query_resize: what the benchmark does to queries before they are
    described, for a person.
    """

    radius: float | None = 25.0
    ns: tuple[int, ...] = (1, 2, 3, 4, 5, *range(10, 101, 5))
    unmatched: Literal["keep", "drop"] = "drop"
    best_per_panorama: bool = False
    other_dates: bool = False
    heading: float | None = None
    frames: int | None = None
    benchmark: str = ""
    query_resize: str = ""


STANDARD = Protocol(unmatched="keep", query_resize="as is")  # the rules of most benchmarks
