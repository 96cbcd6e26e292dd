"""What a map of a country or of the world would take, carried on from what was measured here, as a Markdown table.

    python benchmarks/world.py FOLDER/results-*-compressed.json --photos-per-second 25 --machine-hour 0.10

results: of bench_scale.py. All else is a parameter: how fast a machine describes, what machines, storage and traffic
cost, and how long a query may take. Growth is a power law through the two largest sizes that were measured.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scale_growth import SERIES, carried

SIZES = [10**n for n in range(5, 10)]
ROW = 1024 + 200  # bytes of a photo in the table: 512 numbers of 2 bytes, and what is known of it


def growth(results: list[Path]) -> Callable[[str, float], float]:
    """(name of a series, photos) -> its value, measured or carried on."""
    found = sorted((json.loads(file.read_text()) for file in results), key=lambda one: one["rows"])
    rows = np.array([one["rows"] for one in found])

    def at(name: str, photos: float) -> float:
        values = np.array([SERIES[name](one) for one in found])
        if photos <= rows[-1]:
            return float(np.exp(np.interp(np.log(photos), np.log(rows), np.log(values))))
        return carried(rows, values, photos)

    return at


def largest(at: Callable[[str, float], float], given: argparse.Namespace) -> float:
    """Photos of a shard whose codes fit into a machine and that answers in time."""
    sizes = np.geomspace(1e5, 1e9, 400)
    fits = [
        size
        for size in sizes
        if at("memory, MB", size) < 1000 * given.memory and at("a query, ms", size) < given.query_ms
    ]
    return max(fits, default=sizes[0])


def column(photos: int, at: Callable[[str, float], float], given: argparse.Namespace) -> dict[str, str]:
    """What so many photos take, by the name of the row."""
    shards = math.ceil(photos / largest(at, given))
    of_each = photos / shards
    describing = photos / given.photos_per_second / 3600
    pictures, table = photos * given.photo_bytes / 1e9, photos * ROW / 1e9
    codes = at("memory, MB", of_each) * shards / 1e3
    month = 730 * shards * given.machine_hour + (table + (pictures if given.keep else 0)) * given.storage_month
    return {
        "photos, GB": f"{pictures:,.0f}",
        "to fetch them once, at the price of traffic": f"{pictures * given.traffic:,.0f}",
        "describing, machine hours": f"{describing:,.0f}",
        "describing, price": f"{describing * given.machine_hour:,.0f}",
        "table, GB": f"{table:,.1f}",
        "shards": f"{shards:,}",
        "codes in memory, all shards, GB": f"{codes:,.1f}",
        "codes, hours to make, a machine a shard": f"{at('build, s', of_each) / 3600:,.2f}",
        "a query of everything, ms": f"{at('a query, ms', of_each):,.0f}",
        "such queries a second, a machine a shard": f"{1e3 / at('a query, ms', of_each):,.1f}",
        "a query of 1 % of one shard, ms": f"{at('in 1 % of the photos, ms', of_each):,.0f}",
        "a month of search, price": f"{month:,.0f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--photos-per-second", type=float, required=True, help="that a machine describes")
    parser.add_argument("--machine-hour", type=float, required=True, help="price of a machine, for an hour")
    parser.add_argument("--memory", type=float, default=6, help="GB of a machine that codes may take")
    parser.add_argument("--query-ms", type=float, default=250, help="that a query of a shard may take")
    parser.add_argument("--photo-bytes", type=float, default=400_000, help="of a photo as it is fetched")
    parser.add_argument("--traffic", type=float, default=0.05, help="price of a GB that leaves a store")
    parser.add_argument("--storage-month", type=float, default=0.02, help="price of a GB for a month")
    parser.add_argument("--keep", action="store_true", help="keep the photos themselves too")
    given = parser.parse_args()
    at = growth(given.results)
    columns = [column(photos, at, given) for photos in SIZES]
    print(f"| photos | {' | '.join(f'{photos:,}' for photos in SIZES)} |")
    print("|---" * (1 + len(SIZES)) + "|")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(one[name] for one in columns)} |")


if __name__ == "__main__":
    main()
