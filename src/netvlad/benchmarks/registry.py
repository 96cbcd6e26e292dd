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
    vpr_bench,
)
from netvlad.benchmarks.base import Benchmark
from netvlad.errors import PlacesError
from netvlad.registry import benchmarks, register_benchmark

for _one in (
    *pittsburgh.ALL,
    *tokyo_247.ALL,
    *tokyo_tm.ALL,
    *msls.ALL,
    *nordland.ALL,
    *gsv_cities.ALL,
    *sf_xl.ALL,
    *utm_filenames.ALL,
    *vpr_bench.ALL,
    *oxford_paris.ALL,
    *revisited.ALL,
    *holidays.ALL,
    *campus.ALL,
):
    register_benchmark(_one)


def list_benchmarks() -> list[str]:
    """The names that `benchmark` knows, those of other packages last."""
    return benchmarks.names()


def benchmark(name: str) -> Benchmark:
    """The benchmark of a name, such as "pitts30k-test". Raises PlacesError that lists close names, or all."""
    if name not in benchmarks and (parts := _parts(name)):
        raise PlacesError(f"{name} has several parts; choose one of {', '.join(parts)}")
    return benchmarks.get(name)


def family(name: str) -> list[Benchmark]:
    """The benchmark of a name, or all whose names begin so: "pitts30k" means its train, val and test."""
    parts = [] if name in benchmarks else _parts(name)
    return [benchmarks.get(part) for part in parts] or [benchmark(name)]


def _parts(name: str) -> list[str]:
    return [one for one in list_benchmarks() if one.startswith(f"{name}-")]
