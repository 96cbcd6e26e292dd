"""Where virtual photos are taken: a grid around the panoramas, outside of buildings (Torii et al. 2015, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from netvlad.errors import PlacesError
from netvlad.panoramas.synthesis.cast import thin_things
from netvlad.places import Places, from_utm, sessions
from netvlad.places import dates as dates_of
from netvlad.places.projection import ecef

BAND = 2.0  # degrees above and below the horizon in which a panorama looks for what stands in the way
DATES = ("latest", "all")


@dataclass(frozen=True)
class VirtualPosition:
    """name: unique to the position, the date and split of its sources. lat and lon are NaN in a planar table.

    sources: rows of the panoramas it is cast from, nearest first; offsets: (len(sources), 3) metres east, north, up
    from each to here, at the height of their cameras.
    """

    name: str
    lat: float
    lon: float
    easting: float
    northing: float
    utm: int
    sources: tuple[int, ...]
    offsets: np.ndarray


def clear_view(depth: np.ndarray) -> np.ndarray:
    """How far a panorama sees level with its camera: (W,) float32 metres for the columns of its depth (H, W).

    The nearest of what is within BAND of the horizon, but for posts and the like, behind which there is room; NaN
    where nothing is known there.
    """
    height, width = depth.shape
    half = max(1, round(BAND / 180 * height))
    nearest = np.fmin.reduce(depth[height // 2 - half : height // 2 + half], axis=0)
    around = np.tile(1 / nearest, 3)[None]
    return np.where(thin_things(around, 2 * np.pi / width)[0, width : 2 * width], np.float32(np.nan), nearest)


def virtual_positions(
    panoramas: Places,
    clear: Sequence[np.ndarray | None],
    *,
    spacing: float = 5.0,
    reach: float = 20.0,
    clearance: float = 1.0,
    dates: str = "latest",
    sources: int = 1,
) -> list[VirtualPosition]:
    """Positions of a grid of `spacing` metres within `reach` metres of a panorama that are not inside of anything.

    clear: `clear_view` of each panorama, None for one that is of no use here. The grid lies on multiples of `spacing`
    in UTM, so that runs over parts of a city agree. A position is free if a panorama sees it, with `clearance` metres
    to spare beside and behind it. It is cast from panoramas of one date (and session, see `places.sessions`) and one
    split: the nearest that see it, at most `sources` of them. dates: "latest" makes one virtual position of the
    latest date there, "all" one of every date. In order of zone, northing, easting, date and split.
    Errors: PlacesError for a spacing or reach that is not positive, and for other dates.
    """
    if not (spacing > 0 and reach > 0 and sources > 0):
        wrong = f"a spacing of {spacing} m, a reach of {reach} m, {sources} sources"
        raise PlacesError(f"{wrong}: positive numbers are wanted")
    if dates not in DATES:
        raise PlacesError(f"dates {dates!r}: {' or '.join(DATES)} is wanted")
    usable = np.array([i for i, view in enumerate(clear) if view is not None], np.int64)
    row, zone, north, east = _around(panoramas, usable, spacing, reach)
    offset = _offsets(panoramas, row, zone, east * spacing, north * spacing)
    metres = np.hypot(offset[:, 0], offset[:, 1])
    seen = metres <= reach * 1.001  # a metre of UTM is up to so much longer
    for i in usable:
        start, stop = np.searchsorted(row, [i, i + 1])  # rows come in order
        mine = start + np.flatnonzero(seen[start:stop])
        seen[mine] = _sees(clear[i], panoramas.heading[i], offset[mine], clearance)
    # a day and a night of one date are two sessions, and days on which photos were taken round the clock two dates
    when = np.stack([sessions(panoramas), dates_of(panoramas).astype(np.int64)], axis=-1)
    label = np.unique(when, axis=0, return_inverse=True)[1].ravel()
    split = np.unique(panoramas.split.astype(str), return_inverse=True)[1].ravel()
    keys = (row, metres, split[row], label[row], east, north, zone)
    order = np.lexsort(keys)
    order = order[seen[order]]
    found = []
    for group in _runs(order, zone, north, east):
        for one in _by_date(group, label[row], split[row], dates):
            found.append(_position(panoramas, one[:sources], row, zone, north * spacing, east * spacing, offset))
    return found


def _around(panoramas: Places, usable: np.ndarray, spacing: float, reach: float):
    """Pairs of a panorama (row) and a grid point (zone, and northing and easting in multiples of the spacing)."""
    k = np.arange(-int(reach / spacing) - 1, int(reach / spacing) + 2)
    down, across = (v.ravel() for v in np.meshgrid(k, k, indexing="ij"))
    north = np.rint(panoramas.northing[usable] / spacing).astype(np.int64)[:, None] + down
    east = np.rint(panoramas.easting[usable] / spacing).astype(np.int64)[:, None] + across
    row = np.repeat(usable, len(down))
    return row, panoramas.utm[row], north.ravel(), east.ravel()


def _offsets(panoramas: Places, row: np.ndarray, zone: np.ndarray, easting: np.ndarray, northing: np.ndarray):
    """(M, 3) metres true east, true north and up from panoramas to points of the grid, whose north is not true."""
    if not panoramas.geodetic:
        flat = easting - panoramas.easting[row], northing - panoramas.northing[row], np.zeros(len(row))
        return np.stack(flat, axis=-1)
    there = ecef(*from_utm(easting, northing, zone)) if len(row) else np.empty((0, 3))
    apart = there - panoramas.xyz[row]
    lat, lon = np.radians(panoramas.lat[row]), np.radians(panoramas.lon[row])
    east = apart[:, 1] * np.cos(lon) - apart[:, 0] * np.sin(lon)
    outward = apart[:, 0] * np.cos(lon) + apart[:, 1] * np.sin(lon)
    return np.stack([east, apart[:, 2] * np.cos(lat) - outward * np.sin(lat), np.zeros(len(row))], axis=-1)


def _sees(clear: np.ndarray, heading: float, offset: np.ndarray, clearance: float) -> np.ndarray:
    """Whether all that is known within `clearance` beside each way there is farther away, by `clearance` too."""
    width = len(clear)
    metres = np.hypot(offset[:, 0], offset[:, 1])
    column = (np.degrees(np.arctan2(offset[:, 0], offset[:, 1])) - heading + 180) % 360
    column = column * width / 360 - 0.5
    half = np.maximum(np.degrees(np.arctan2(clearance, metres)) * width / 360, 1.0)
    k = np.arange(-int(half.max(initial=1)) - 1, int(half.max(initial=1)) + 2)
    columns = np.rint(column).astype(np.int64)[:, None] + k
    values = np.where(np.abs(columns - column[:, None]) <= half[:, None], clear[columns % width], np.nan)
    return np.fmin.reduce(values, axis=1) > metres + clearance  # NaN: nothing is known of the way


def _runs(order: np.ndarray, *keys: np.ndarray) -> list[np.ndarray]:
    """Stretches of `order` in which all keys stay the same."""
    changes = np.zeros(max(len(order) - 1, 0), bool)
    for key in keys:
        changes |= np.diff(key[order]) != 0
    return np.split(order, np.flatnonzero(changes) + 1) if len(order) else []


def _by_date(group: np.ndarray, label: np.ndarray, split: np.ndarray, dates: str) -> list[np.ndarray]:
    ones = _runs(group, label, split)
    if dates == "all":
        return ones
    latest = {split[one[0]]: one for one in ones}  # in order of date: the last one stays
    return [latest[key] for key in sorted(latest)]


def _position(panoramas: Places, pairs, row, zone, northing, easting, offset) -> VirtualPosition:
    first = pairs[0]
    code, nearest = int(zone[first]), int(row[first])
    lat, lon = np.nan, np.nan
    if panoramas.geodetic:
        lat, lon = (float(v) for v in from_utm(easting[first], northing[first], code))
    time = panoramas.time[nearest]
    date = "" if np.isnat(time) else "".join(c for c in str(time) if c.isalnum())
    split = quote(panoramas.split[nearest], safe="")
    parts = str(code or ""), _short(easting[first]), _short(northing[first]), date, split
    return VirtualPosition(
        "_".join(part for part in parts if part),
        lat,
        lon,
        float(easting[first]),
        float(northing[first]),
        code,
        tuple(int(i) for i in row[pairs]),
        offset[pairs],
    )


def _short(metres: float) -> str:
    return f"{metres:.3f}".rstrip("0").rstrip(".")
