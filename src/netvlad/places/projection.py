"""Map projections: latitude and longitude to UTM and to earth-centred coordinates, and back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from netvlad.errors import PlacesError
from netvlad.types import Array, BoolArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pyproj import Transformer

UPS_NORTH, UPS_SOUTH = 5041, 5042


def to_utm(lat: ArrayLike, lon: ArrayLike) -> tuple[Array, Array, Array]:
    """Easting and northing (float64 metres) of positions, and the EPSG codes (int32) of their zones.

    lat, lon: degrees on WGS 84, numbers or arrays that broadcast. Zones follow the grid in use: zone 32
    reaches west over southern Norway, 31/33/35/37 share Svalbard, UPS (5041, 5042) replaces UTM north of 84 N
    and south of 80 S. Raises PlacesError for a position that is missing or off the globe.
    """
    lat, lon = np.broadcast_arrays(np.asarray(lat, np.float64), np.asarray(lon, np.float64))
    bad = np.flatnonzero(~((np.abs(lat) <= 90) & (np.abs(lon) <= 180)).ravel())
    if len(bad):
        at = bad[0]
        raise PlacesError(
            f"position {at} of {lat.size} is ({lat.flat[at]}, {lon.flat[at]}): latitude runs from -90 to 90 "
            "degrees, longitude from -180 to 180"
        )
    epsg = _zone_of(lat, lon)
    easting, northing = _project(lon, lat, epsg, inverse=False)
    return easting, northing, epsg


def from_utm(easting: ArrayLike, northing: ArrayLike, epsg: ArrayLike) -> tuple[Array, Array]:
    """Latitude and longitude (float64 degrees) of positions in metres; `epsg`: one code, or one a row.

    A position too far outside its zone becomes NaN. Raises PlacesError for a code that is no UTM or UPS zone.
    """
    arrays = np.asarray(easting, np.float64), np.asarray(northing, np.float64), np.asarray(epsg, np.int32)
    easting, northing, epsg = np.broadcast_arrays(*arrays)
    wrong = np.unique(epsg[~is_utm(epsg)])
    if len(wrong):
        raise PlacesError(
            f"EPSG {wrong[0]} is no UTM zone: 32601..32660 (north), 32701..32760 (south), 5041 and 5042 (the poles) are"
        )
    lon, lat = _project(easting, northing, epsg, inverse=True)
    lost = ~(np.isfinite(lat) & np.isfinite(lon))
    return np.where(lost, np.nan, lat), np.where(lost, np.nan, lon)


def is_utm(epsg: ArrayLike) -> BoolArray:
    """Whether each code names a UTM zone on WGS 84, or one of the two polar grids (UPS)."""
    code = np.asarray(epsg)
    utm = ((code > 32600) & (code <= 32660)) | ((code > 32700) & (code <= 32760))
    return np.asarray(utm | (code == UPS_NORTH) | (code == UPS_SOUTH))


def _zone_of(lat: Array, lon: Array) -> Array:
    number = (np.floor((lon + 180) / 6).astype(np.int32) % 60) + 1
    norway = (lat >= 56) & (lat < 64) & (lon >= 3) & (lon < 12)
    number = np.where(norway, 32, number)
    svalbard = (lat >= 72) & (lat <= 84) & (lon >= 0) & (lon < 42)
    number = np.where(svalbard, 31 + 2 * np.digitize(lon, (9, 21, 33)), number)
    epsg = np.where(lat >= 0, 32600, 32700) + number
    epsg = np.where(lat > 84, UPS_NORTH, np.where(lat < -80, UPS_SOUTH, epsg))
    return epsg.astype(np.int32)


@lru_cache(maxsize=256)
def _projection(epsg: int) -> Transformer:
    import pyproj

    return pyproj.Transformer.from_crs(4326, epsg, always_xy=True)


def _project(a: Array, b: Array, epsg: Array, inverse: bool) -> tuple[Array, Array]:
    out = np.empty((2, *a.shape))
    for code in np.unique(epsg):
        rows = epsg == code
        out[:, rows] = _projection(int(code)).transform(a[rows], b[rows], direction="INVERSE" if inverse else "FORWARD")
    return out[0], out[1]


def ecef(lat: Array, lon: Array) -> Array:
    """Earth-centred coordinates (N, 3) in metres of positions on the WGS 84 ellipsoid, in degrees."""
    lat, lon = np.radians(lat), np.radians(lon)
    a, e2 = 6_378_137.0, 0.006_694_379_990_141_3  # WGS 84
    n = a / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    return np.stack([n * np.cos(lat) * np.cos(lon), n * np.cos(lat) * np.sin(lon), n * (1 - e2) * np.sin(lat)], axis=-1)
