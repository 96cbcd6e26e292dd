"""Benchmarks by name."""

from __future__ import annotations

from netvlad.benchmarks import (
    campus,
    gsv_cities,
    holidays,
    msls,
    nordland,
    oxford_paris,
    pittsburgh,
    revisited,
    sf_xl,
    tokyo_247,
    tokyo_tm,
    utm_filenames,
)
from netvlad.benchmarks.base import Benchmark
from netvlad.errors import PlacesError

_ALL = (
    *pittsburgh.ALL,
    *tokyo_247.ALL,
    *tokyo_tm.ALL,
    *msls.ALL,
    *nordland.ALL,
    *gsv_cities.ALL,
    *sf_xl.ALL,
    *utm_filenames.ALL,
    *oxford_paris.ALL,
    *revisited.ALL,
    *holidays.ALL,
    *campus.ALL,
)
_BY_NAME = {one.name: one for one in _ALL}


def names() -> list[str]:
    """The names that `benchmark` knows."""
    return list(_BY_NAME)


def benchmark(name: str) -> Benchmark:
    """The benchmark of a name, such as "pitts30k-test". Errors: PlacesError listing the names there are."""
    if name not in _BY_NAME:
        parts = [one for one in _BY_NAME if one.startswith(f"{name}-")]
        if parts:
            raise PlacesError(f"{name} has several parts; choose one of {', '.join(parts)}")
        raise PlacesError(f"no benchmark is named {name!r}; choose one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def family(name: str) -> list[Benchmark]:
    """The benchmark of a name, or all whose names begin so: "pitts30k" means its train, val and test."""
    parts = [one for key, one in _BY_NAME.items() if key.startswith(f"{name}-")]
    return parts if parts and name not in _BY_NAME else [benchmark(name)]
