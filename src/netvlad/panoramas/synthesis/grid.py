"""Where virtual photos are taken: a grid around the panoramas, outside of buildings (Torii et al. 2015, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from netvlad.errors import PlacesError
from netvlad.panoramas.synthesis.ray_casting import thin_objects
from netvlad.places import Places, from_utm, sessions
from netvlad.places import dates as dates_of
from netvlad.places.projection import ecef
from netvlad.types import Array, BoolArray, FloatArray

BAND = 2.0  # degrees above and below the horizon in which depth is searched for obstacles
DATES = ("latest", "all")


@dataclass(frozen=True)
class VirtualPosition:
    """Where virtual photos are taken.

    name: unique to the position and the date and split of its sources. lat, lon: NaN in a planar table.
    sources: rows of the panoramas it is rendered from, nearest first. offsets: (len(sources), 3) metres east, north,
    up from each to here, at the height of their cameras.
    """

    name: str
    lat: float
    lon: float
    easting: float
    northing: float
    utm: int
    sources: tuple[int, ...]
    offsets: Array


def clear_view(depth: Array) -> FloatArray:
    """Return how far a panorama sees level with its camera: (W,) float32 metres for the columns of its depth (H, W).

    This is the nearest depth within BAND of the horizon, without posts and other thin objects, behind which there is
    room; NaN where none is known.
    """
    height, width = depth.shape
    half = max(1, round(BAND / 180 * height))
    nearest = np.fmin.reduce(depth[height // 2 - half : height // 2 + half], axis=0)
    around = np.tile(1 / nearest, 3)[None]
    thin = thin_objects(around, 2 * np.pi / width)[0, width : 2 * width]
    return np.asarray(np.where(thin, np.float32(np.nan), nearest))


def virtual_positions(
    panoramas: Places,
    clear: Sequence[Array | None],
    *,
    spacing: float = 5.0,
    reach: float = 20.0,
    clearance: float = 1.0,
    dates: str = "latest",
    sources: int = 1,
) -> list[VirtualPosition]:
    """Return the free positions of a grid of `spacing` metres within `reach` metres of a panorama.

    clear: `clear_view` of each panorama, None for one that cannot be used. The grid lies on multiples of `spacing` in
    UTM, so that runs over parts of a city agree. A position is free if a panorama sees it, with `clearance` metres to
    spare beside and behind it. Its sources are the nearest panoramas that see it, at most `sources`, all of one date
    (and session, see `places.sessions`) and one split. dates: "latest" makes one virtual position, of the latest date
    there, "all" makes one for each date. Positions are in order of zone, northing, easting, date and split.
    Raises PlacesError for a spacing, reach or number of sources that is not positive, and for other dates.
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
        view = clear[i]
        assert view is not None  # by the choice of `usable`
        seen[mine] = _sees(view, panoramas.heading[i], offset[mine], clearance)
    # day and night of one date are two sessions; a session that lasts past midnight has two dates
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


def _around(panoramas: Places, usable: Array, spacing: float, reach: float) -> tuple[Array, Array, Array, Array]:
    """Pairs of panoramas and grid points: row, zone, northing and easting, the last two in multiples of the spacing."""
    k = np.arange(-int(reach / spacing) - 1, int(reach / spacing) + 2)
    down, across = (v.ravel() for v in np.meshgrid(k, k, indexing="ij"))
    north = np.rint(panoramas.northing[usable] / spacing).astype(np.int64)[:, None] + down
    east = np.rint(panoramas.easting[usable] / spacing).astype(np.int64)[:, None] + across
    row = np.repeat(usable, len(down))
    return row, panoramas.utm[row], north.ravel(), east.ravel()


def _offsets(panoramas: Places, row: Array, zone: Array, easting: Array, northing: Array) -> Array:
    """(M, 3) metres true east, true north and up from panoramas to grid points; grid north is not true north."""
    if not panoramas.geodetic:
        flat = easting - panoramas.easting[row], northing - panoramas.northing[row], np.zeros(len(row))
        return np.stack(flat, axis=-1)
    there = ecef(*from_utm(easting, northing, zone)) if len(row) else np.empty((0, 3))
    apart = there - panoramas.xyz[row]
    lat, lon = np.radians(panoramas.lat[row]), np.radians(panoramas.lon[row])
    east = apart[:, 1] * np.cos(lon) - apart[:, 0] * np.sin(lon)
    outward = apart[:, 0] * np.cos(lon) + apart[:, 1] * np.sin(lon)
    return np.stack([east, apart[:, 2] * np.cos(lat) - outward * np.sin(lat), np.zeros(len(row))], axis=-1)


def _sees(clear: Array, heading: float, offset: Array, clearance: float) -> BoolArray:
    """Whether everything known within `clearance` beside the line to each offset is `clearance` or more behind it."""
    width = len(clear)
    metres = np.hypot(offset[:, 0], offset[:, 1])
    column = (np.degrees(np.arctan2(offset[:, 0], offset[:, 1])) - heading + 180) % 360
    column = column * width / 360 - 0.5
    half = np.maximum(np.degrees(np.arctan2(clearance, metres)) * width / 360, 1.0)
    k = np.arange(-int(half.max(initial=1)) - 1, int(half.max(initial=1)) + 2)
    columns = np.rint(column).astype(np.int64)[:, None] + k
    values = np.where(np.abs(columns - column[:, None]) <= half[:, None], clear[columns % width], np.nan)
    return np.asarray(np.fmin.reduce(values, axis=1) > metres + clearance)  # False for NaN: nothing is known


def _runs(order: Array, *keys: Array) -> list[Array]:
    """Split `order` where any key changes."""
    changes = np.zeros(max(len(order) - 1, 0), bool)
    for key in keys:
        changes |= np.diff(key[order]) != 0
    return np.split(order, np.flatnonzero(changes) + 1) if len(order) else []


def _by_date(group: Array, label: Array, split: Array, dates: str) -> list[Array]:
    """Split pairs of one position by split and date; with "latest", keep the latest date of each split."""
    ones = _runs(group, label, split)
    if dates == "all":
        return ones
    latest = {split[one[0]]: one for one in ones}  # in order of date: the last one wins
    return [latest[key] for key in sorted(latest)]


def _position(
    panoramas: Places, pairs: Array, row: Array, zone: Array, northing: Array, easting: Array, offset: Array
) -> VirtualPosition:
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
