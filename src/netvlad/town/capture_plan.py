"""What is to be taken of a town: which panoramas and which queries, of which neighbourhoods, when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from netvlad.errors import NetvladError
from netvlad.town.light import Moment
from netvlad.town.survey import Shot, query_moments, spots, survey, survey_moments
from netvlad.town.world import Neighbourhood

SPLITS = ("train", "val", "test")
ABSENT = 0.1  # share of queries from a neighbourhood that no camera car ever saw
MOST = 5  # streets along an axis: neighbourhoods are APART, and hundreds of metres must stay between them
LONGEST = 50.0  # metres between panoramas: the shortest street still has one


@dataclass(frozen=True)
class Size:
    """How large a town is, for each neighbourhood unless it says otherwise.

    neighbourhoods: of train, val and test; streets: (along one axis, along the other); spacing: metres between
    panoramas; dates: how often the camera car came, of each split; width: of a panorama in pixels; visits: of people
    with phones, in turn by day, at sunset, by night; queries: photos a visit; photo: (width, height)
    of cut-outs and queries.
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
            raise NetvladError(f"{max(self.streets)} streets along one axis of a neighbourhood: 1 to {MOST} are wanted")
        if not 1 <= self.spacing <= LONGEST:
            raise NetvladError(f"panoramas {self.spacing} m apart: 1 to {LONGEST:g} m are wanted")
        if not all(1 <= dates <= 72 for dates in self.dates):
            raise NetvladError(f"a camera car that came {self.dates} times: 1 to 72 is wanted")
        if self.width < 64 or self.width % 2:
            raise NetvladError(f"panoramas {self.width} pixels wide: an even number of at least 64 is wanted")


SIZES = {
    "tiny": Size((1, 1, 1), (1, 1), 12.0, (2, 1, 1), 256, 3, 4, (96, 72)),
    "small": Size((1, 1, 1), (2, 2), 11.0, (2, 1, 2), 1024, 6, 15, (256, 192)),
    "city": Size((12, 2, 4), (3, 3), 10.0, (5, 3, 4), 1024, 9, 30, (256, 192)),
}


def find_size(size: Size | str) -> Size:
    """A size by its name. Errors: NetvladError for one that is not known."""
    if isinstance(size, str) and size not in SIZES:
        raise NetvladError(f"no town is of size {size!r}; choose one of {', '.join(SIZES)}")
    return SIZES[size] if isinstance(size, str) else size


def neighbourhoods(size: Size) -> dict[str, range]:
    """The numbers of each split's neighbourhoods; the one after the last is never surveyed."""
    ends = np.cumsum(size.neighbourhoods)
    return {
        split: range(int(end) - n, int(end)) for split, n, end in zip(SPLITS, size.neighbourhoods, ends, strict=True)
    }


@lru_cache(maxsize=64)
def outline(seed: int, number: int, streets: tuple[int, int]) -> Neighbourhood:
    """A neighbourhood's streets and its turn, without its houses."""
    return Neighbourhood.draw(seed, number, streets, bare=True)


def surveys(seed: int, number: int, size: Size, split: str) -> Iterator[tuple[Moment, list[Shot]]]:
    """The panoramas of each date of a neighbourhood."""
    place = outline(seed, number, size.streets)
    stops = spots(place.plan, size.spacing, np.random.default_rng([seed, number, 5]))
    for date, moment in enumerate(survey_moments(seed, number, size.dates[SPLITS.index(split)])):
        yield moment, survey(place, stops, date, moment)


def wanted_queries(seed: int, size: Size, split: str) -> Iterator[tuple[int, list]]:
    """(neighbourhood, [(moment, [(name, light)])]); of each visit a few photos are from where no camera car was."""
    absent = []
    for number in neighbourhoods(size)[split]:
        wanted = []
        for visit, (light, moment) in enumerate(query_moments(seed, number, size.visits)):
            names = [(f"n{number:02d}_v{visit:02d}_{light}_{i:03d}", light) for i in range(size.queries)]
            missing = round(ABSENT * len(names))
            wanted.append((moment, names[missing:]))
            absent.append((moment, [(f"{name}_absent", light) for name, light in names[:missing]]))
        yield number, wanted
    yield sum(size.neighbourhoods), absent
