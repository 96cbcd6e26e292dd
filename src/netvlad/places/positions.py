"""Complete the positions of rows: UTM from degrees and degrees from UTM, and reasons for rows without either."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netvlad.places.projection import ecef, from_utm, to_utm
from netvlad.types import Array, BoolArray

AGREE = 100.0  # metres between lat/lon and UTM of one row: more than any rounding, less than any mix-up


def resolve_positions(
    lat: Array,
    lon: Array,
    easting: Array,
    northing: Array,
    utm: Array,
    labelled: BoolArray | bool = False,
) -> tuple[dict[str, Array], dict[int, str]]:
    """The five columns, completed where possible, and row -> reason for rows without a usable position.

    utm: EPSG codes of zones, 0 unknown. Degrees are kept as given, and UTM is computed where it is missing or lacks its
    zone. Rows with easting and northing alone stay planar (utm 0, lat and lon NaN).
    labelled (N,) bool: rows that may lack a position (all five columns then say unknown), but not half of one.
    """
    faults: dict[int, str] = {}

    def fault(rows: BoolArray, reason: Callable[[int], str]) -> None:
        for row in np.flatnonzero(rows):
            faults.setdefault(int(row), reason(int(row)))

    degrees = np.isfinite(lat) & np.isfinite(lon)
    null = degrees & (lat == 0) & (lon == 0)
    degrees &= ~null
    fault(degrees & (np.abs(lat) > 90), lambda i: f"latitude {lat[i]} is outside -90..90")
    fault(degrees & (np.abs(lon) > 180), lambda i: f"longitude {lon[i]} is outside -180..180")
    metres = np.isfinite(easting) & np.isfinite(northing)
    zoned = metres & (utm != 0)
    fault(null & ~metres & ~np.asarray(labelled), lambda i: "position (0, 0), which a camera writes when it has no fix")
    none = ~(np.isfinite(lat) | np.isfinite(lon) | np.isfinite(easting) | np.isfinite(northing))
    nowhere = labelled & (none | (null & ~metres))
    fault(~degrees & ~metres & ~nowhere, lambda i: _missing(lat[i], lon[i], easting[i], northing[i]))

    good = np.ones(len(lat), bool)
    good[list(faults)] = False
    lat, lon = np.where(degrees, lat, np.nan), np.where(degrees, lon, np.nan)
    easting, northing = np.where(nowhere, np.nan, easting), np.where(nowhere, np.nan, northing)
    utm = np.where(zoned, utm, 0).astype(np.int32)

    rows = good & zoned
    back_lat, back_lon = np.full(len(lat), np.nan), np.full(len(lat), np.nan)
    back_lat[rows], back_lon[rows] = from_utm(easting[rows], northing[rows], utm[rows])
    off_grid = rows & ~_on_grid(easting, northing, utm, back_lat)
    fault(
        off_grid,
        lambda i: f"easting {easting[i]}, northing {northing[i]} is not a point of zone EPSG {utm[i]}",
    )
    both = rows & degrees & ~off_grid
    apart = np.zeros(len(lat))
    apart[both] = np.linalg.norm(ecef(lat[both], lon[both]) - ecef(back_lat[both], back_lon[both]), axis=-1)
    fault(apart > AGREE, lambda i: f"lat/lon and UTM of zone EPSG {utm[i]} are {apart[i]:.0f} m apart")
    alone = rows & ~degrees & ~off_grid
    lat[alone], lon[alone] = back_lat[alone], back_lon[alone]

    rows = good & degrees & ~zoned
    easting[rows], northing[rows], utm[rows] = to_utm(lat[rows], lon[rows])
    return {"lat": lat, "lon": lon, "easting": easting, "northing": northing, "utm": utm}, faults


def _on_grid(easting: Array, northing: Array, utm: Array, lat: Array) -> BoolArray:
    """Whether each point lies in the extent of its grid; swapped columns, or kilometres, project somewhere too."""
    polar = utm < 10_000
    inside = np.where(polar, (easting >= 0) & (easting <= 4e6), (easting > 0) & (easting < 1e6))
    return np.asarray(inside & (np.abs(northing) <= 1e7) & np.isfinite(lat))


def _missing(lat: float, lon: float, easting: float, northing: float) -> str:
    known = {"latitude": lat, "longitude": lon, "easting": easting, "northing": northing}
    half = [name for name, value in known.items() if np.isfinite(value)]
    return f"only {' and '.join(half)} given" if half else "no position"


def leave_planar(positions: dict[str, Array], bad_zone: dict[int, str], faults: dict[int, str]) -> None:
    """Add to `faults` the rows without a zone among rows with one, and the rows whose zone cannot be read."""
    geodetic = np.isfinite(positions["lat"])
    planar = np.isfinite(positions["easting"]) & ~geodetic
    geodetic[list(faults)] = planar[list(faults)] = False
    for row in np.flatnonzero(planar).tolist():
        if row in bad_zone:
            faults[row] = bad_zone[row]
        elif geodetic.any():
            faults[row] = "easting and northing without a UTM zone, among positions in latitude and longitude"
