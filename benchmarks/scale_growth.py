"""How compressed search grows with the number of photos: a plot of what bench_scale.py measured, and where it leads.

    python benchmarks/scale_growth.py FOLDER/results-*-compressed.json --plot docs/results/scale.png

Prints a Markdown table of what 100 million and a billion photos would take: a power law through the two largest sizes
that were measured, no more than that.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

SERIES: dict[str, Callable[[dict], float]] = {
    "build, s": lambda found: found["build_s"],
    "memory, MB": lambda found: found["bytes_a_photo"] * found["rows"] / 1e6,
    "open, s": lambda found: found["open_s"],
    "a query, ms": lambda found: found["all"]["median_ms"],
    "in 1 % of the photos, ms": lambda found: found["region"]["median_ms"],
    "add 10,000, s": lambda found: found["add_10000_s"],
}
WANTED = (10**8, 10**9)


def carried(rows: np.ndarray, values: np.ndarray, to: int) -> float:
    """A power law through the last two of values at `rows`, ascending."""
    slope = np.log(values[-1] / values[-2]) / np.log(rows[-1] / rows[-2])
    return float(values[-1] * (to / rows[-1]) ** slope)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    found = sorted((json.loads(file.read_text()) for file in given.results), key=lambda one: one["rows"])
    rows = np.array([one["rows"] for one in found])
    print(f"| | {' | '.join(f'{n:,}' for n in rows)} | {' | '.join(f'{n:,} (carried on)' for n in WANTED)} |")
    print("|---" * (1 + len(rows) + len(WANTED)) + "|")
    for name, value in SERIES.items():
        values = np.array([value(one) for one in found])
        shown = [*values, *(carried(rows, values, to) for to in WANTED)]
        print(f"| {name} | {' | '.join(f'{number:,.3g}' for number in shown)} |")
    recalls = " | ".join(f"{one['all']['recall']:.3f}" for one in found)
    print(f"| recall of 10, real queries | {recalls} | ? | ? |")
    if given.plot:
        plot(rows, found, given.plot)


def plot(rows: np.ndarray, found: list[dict], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter

    figure, axes = pyplot.subplots(2, 3, figsize=(10, 5.6), layout="constrained")
    for axis, (name, value) in zip(axes.flat, SERIES.items(), strict=True):
        values = np.array([value(one) for one in found])
        axis.loglog(rows, values, "o-", color="#0b6e99")
        to = np.array([rows[-1], *WANTED])
        axis.loglog(to, [carried(rows, values, n) for n in to], ":", color="#0b6e99")
        axis.set_title(name, loc="left", fontsize=11)
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
        for spine in ("top", "right"):
            axis.spines[spine].set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("photos")
    figure.suptitle("Measured (points) and carried on (dotted)", x=0.01, ha="left", fontsize=11)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
