"""Tokyo Time Machine (NetVLAD paper, section 5.1): Street View panoramas of the same spots over the years."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.dbstruct import read_struct
from netvlad.benchmarks.layout import one_of, under
from netvlad.benchmarks.protocol import STANDARD
from netvlad.benchmarks.tokyo_247 import ZONE
from netvlad.errors import PlacesError
from netvlad.places.table import Places
from netvlad.types import Array


def read(root: Path, split: str) -> Split:
    """Read the authors' layout. Database and queries are photos of one folder."""
    path = one_of(root, f"datasets/tokyoTM_{split}.mat", f"tokyoTM_{split}.mat", f"raw/tokyoTM_{split}.mat")
    struct = read_struct(path)
    if struct.database_stamps is None or struct.queries_stamps is None:
        raise PlacesError("dbStruct lacks the time stamps, by which a query's own date is left out", path=path)

    def places(names: list[str], utm: Array, stamps: Array, which: str) -> Places:
        paths = under(root, ("images", ".", "raw/tokyoTM/images", "tokyoTM/images"), names, which, suffix=".png")
        return Places.build(path=paths, easting=utm[:, 0], northing=utm[:, 1], utm=ZONE, time=dates_of(stamps, path))

    return Split(
        places(struct.database, struct.database_utm, struct.database_stamps, "database"),
        places(struct.queries, struct.queries_utm, struct.queries_stamps, "query"),
    )


def dates_of(stamps: Array, path: Path) -> Array:
    """Time stamps (N,) as datetime64[s]: months 200911, days 20091104, or MATLAB's days since the year 0.

    The authors compare them for equality alone and document no unit. Raises PlacesError for anything else.
    """
    whole = stamps.astype(np.int64) if np.isfinite(stamps).all() else np.zeros(len(stamps), np.int64)
    if _all_between(whole, 1980_01, 2040_12):
        return _calendar(whole // 100, whole % 100, np.ones_like(whole), path)
    if _all_between(whole, 1980_01_01, 2040_12_31):
        return _calendar(whole // 10_000, whole // 100 % 100, whole % 100, path)
    if _all_between(whole, 723_000, 746_000):  # 1979 to 2042; day 719529 is the first of 1970
        return (stamps - 719_529.0).astype("datetime64[D]").astype("datetime64[s]") + np.timedelta64(12, "h")
    odd = ", ".join(f"{stamp:g}" for stamp in stamps[:3])
    reason = f"time stamps {odd} are neither months (200911) nor days (20091104, or MATLAB's datenum)"
    raise PlacesError(reason, path=path)


def _all_between(values: Array, low: int, high: int) -> bool:
    return bool(len(values) == 0 or ((values >= low) & (values <= high)).all())


def _calendar(year: Array, month: Array, day: Array, path: Path) -> Array:
    """Noon of each date, which is not taken for a night."""
    written = [f"{y:04d}-{m:02d}-{d:02d}T12" for y, m, d in zip(year, month, day, strict=True)]
    try:
        return np.array(written, "datetime64[s]")
    except ValueError as error:
        raise PlacesError(f"a time stamp is no date: {error}", path=path) from None


LAYOUT = """ROOT/
  datasets/tokyoTM_{split}.mat    (or directly in ROOT)
  images/...                      (or directly in ROOT; .jpg or .png)
or, as OpenIBL has them in examples/data/tokyo:
  raw/tokyoTM_{split}.mat and raw/tokyoTM/images/..."""

ALL = tuple(
    Benchmark(
        name=f"tokyo-tm-{split}",
        title=f"Tokyo Time Machine, {split}: the same spots over the years",
        reader=partial(read, split=split),
        images=database,  # the queries are photos of the database
        database=database,
        queries=queries,
        licence="research only, on request (Google Street View)",
        source="https://www.di.ens.fr/willow/research/netvlad/",
        how="photos: ask the authors of NetVLAD by e-mail; splits: netvlad_v100_datasets.tar.gz on the project page",
        layout=LAYOUT.format(split=split),
        protocol=replace(STANDARD, other_dates=True),
    )
    for split, database, queries in (("train", 49_104, None), ("val", 49_056, 7_186))
)
