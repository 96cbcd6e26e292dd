"""Which panoramas and queries are taken, in which neighbourhoods, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from netvlad.errors import NetvladError
from netvlad.town.light import Moment
from netvlad.town.survey import Shot, query_moments, survey, survey_moments, survey_stops
from netvlad.town.world import Neighbourhood

Visit: TypeAlias = tuple[Moment, list[tuple[str, str]]]  # moment, (name, light) of each query

SPLITS = ("train", "val", "test")
ABSENT = 0.1  # share of queries from a neighbourhood that no camera car saw
MOST = 5  # streets along an axis, so that hundreds of metres stay between neighbourhoods, which are APART
LONGEST = 50.0  # metres between panoramas, so that the shortest street has one


@dataclass(frozen=True)
class Size:
    """The size of a town.

    neighbourhoods: number in train, val and test. streets: number along each axis of a neighbourhood. spacing: metres
    between panoramas. dates: number of surveys by the camera car in train, val and test. width: of a panorama in
    pixels. visits: number of visits by people with phones to a neighbourhood, in turn by day, at sunset and by night.
    queries: photos per visit. photo: (width, height) of cut-outs and queries. Raises NetvladError for other values.
    """

    neighbourhoods: tuple[int, int, int]
    streets: tuple[int, int]
    spacing: float
    dates: tuple[int, int, int]
    width: int
    visits: int
    queries: int
    photo: tuple[int, int]

    def __post_init__(self) -> None:
        counts = [*self.streets, self.visits, self.queries, *self.photo]
        if min(self.neighbourhoods) < 0 or not sum(self.neighbourhoods) or min(counts) < 1:
            raise NetvladError(f"no town can have the size {self}: counts are positive")
        if max(self.streets) > MOST:
            raise NetvladError(
                f"{max(self.streets)} streets along one axis of a neighbourhood: 1 to {MOST} are allowed"
            )
        if not 1 <= self.spacing <= LONGEST:
            raise NetvladError(f"panoramas {self.spacing} m apart: 1 to {LONGEST:g} m are allowed")
        if not all(1 <= dates <= 72 for dates in self.dates):
            raise NetvladError(f"a camera car that came {self.dates} times: 1 to 72 are allowed")
        if self.width < 64 or self.width % 2:
            raise NetvladError(f"panoramas {self.width} pixels wide: the width must be even and at least 64")


SIZES = {
    "tiny": Size((1, 1, 1), (1, 1), 12.0, (2, 1, 1), 256, 3, 4, (96, 72)),
    "small": Size((1, 1, 1), (2, 2), 11.0, (2, 1, 2), 1024, 6, 15, (256, 192)),
    "city": Size((12, 2, 4), (3, 3), 10.0, (5, 3, 4), 1024, 9, 30, (256, 192)),
}


def find_size(size: Size | str) -> Size:
    """Return a size by its name. Raises NetvladError for an unknown name."""
    if isinstance(size, str) and size not in SIZES:
        raise NetvladError(f"no town is of size {size!r}; choose one of {', '.join(SIZES)}")
    return SIZES[size] if isinstance(size, str) else size


def neighbourhoods(size: Size) -> dict[str, range]:
    """Numbers of the neighbourhoods of each split; one more, after the last, is never surveyed."""
    ends = np.cumsum(size.neighbourhoods)
    return {
        split: range(int(end) - n, int(end)) for split, n, end in zip(SPLITS, size.neighbourhoods, ends, strict=True)
    }


@lru_cache(maxsize=64)
def outline(seed: int, number: int, streets: tuple[int, int]) -> Neighbourhood:
    """Draw the plan of a neighbourhood, without triangles."""
    return Neighbourhood.draw(seed, number, streets, bare=True)


def surveys(seed: int, number: int, size: Size, split: str) -> Iterator[tuple[Moment, list[Shot]]]:
    """Yield (moment, panoramas) for each date of a neighbourhood."""
    place = outline(seed, number, size.streets)
    stops = survey_stops(place.plan, size.spacing, np.random.default_rng([seed, number, 5]))
    for date, moment in enumerate(survey_moments(seed, number, size.dates[SPLITS.index(split)])):
        yield moment, survey(place, stops, date, moment)


def planned_queries(seed: int, size: Size, split: str) -> Iterator[tuple[int, list[Visit]]]:
    """Yield (neighbourhood, visits); a share ABSENT of each visit is in the neighbourhood that no camera car saw."""
    absent: list[Visit] = []
    for number in neighbourhoods(size)[split]:
        wanted: list[Visit] = []
        for visit, (light, moment) in enumerate(query_moments(seed, number, size.visits)):
            names = [(f"n{number:02d}_v{visit:02d}_{light}_{i:03d}", light) for i in range(size.queries)]
            missing = round(ABSENT * len(names))
            wanted.append((moment, names[missing:]))
            absent.append((moment, [(f"{name}_absent", light) for name, light in names[:missing]]))
        yield number, wanted
    yield sum(size.neighbourhoods), absent
