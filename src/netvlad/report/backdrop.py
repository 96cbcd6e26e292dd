"""What a page draws below its marks: the streets that database photos were taken along."""

from __future__ import annotations

from typing import Any

import numpy as np

from netvlad.places import Places
from netvlad.places.streets import streets_within

MOST = 3000  # positions of a page
WIDER = 0.5  # share of the extent of the marks that is drawn beyond them, on each side
LEAST = 200.0  # metres that are drawn beyond them at least
METRES_A_DEGREE = 111_195.0


def streets_around(database: Places | None, marks: list[tuple[float, float]], planar: bool) -> dict[str, Any]:
    """Positions of `database` around `marks` and the streets between them, as the pages' scripts draw them.

    marks: [lat, lon], or [northing, easting] where `planar`. Returns {"points", "lines"}, empty without a database.
    """
    if database is None or not marks or not (planar or database.geodetic):
        return {"points": [], "lines": []}
    north, east = (database.northing, database.easting) if planar else (database.lat, database.lon)
    at = np.array(marks)
    unit = np.ones(2)
    if not planar:
        unit = 1 / METRES_A_DEGREE / np.array([1.0, max(0.01, float(np.cos(np.radians(at[:, 0].mean()))))])
    low, high = at.min(axis=0), at.max(axis=0)
    margin = np.maximum(WIDER * (high - low), LEAST * unit)
    (south, west), (top, right) = low - margin, high + margin
    found = streets_within(
        north, east, box=(float(west), float(south), float(right), float(top)), most=MOST, geodetic=not planar
    )
    return {"points": found.points.round(2 if planar else 6).tolist(), "lines": found.lines.tolist()}
