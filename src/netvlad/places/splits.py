"""Split one table of photos into a database and queries that are as hard as photos of a later visit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.place_matches import place_matches
from netvlad.places.sun import as_utc, elevation
from netvlad.places.table import Places
from netvlad.runtime.counted import counted
from netvlad.types import Array, BoolArray, IntArray

_DATABASE = ("database", "db", "gallery", "reference")
_QUERY = ("query", "queries", "q")
CELL = 25.0  # metres, the usual radius of a correct match
ENOUGH = 10  # least photos by day and by night
DAY, NIGHT = 0.0, -6.0  # mean elevation of the sun in degrees; between the two is twilight


@dataclass(frozen=True)
class HoldOut:
    """A database and queries; `how` states in one sentence how they were split."""

    database: Places
    queries: Places
    how: str


def sessions(places: Places, gap_hours: float = 2.0) -> IntArray:
    """The session of each photo, (N,) int64, 0 the earliest, -1 where the time is unknown.

    A session ends when more than `gap_hours` pass without a photo. Where some times are UTC and others wall clocks,
    wall clocks are converted by their longitude. Raises PlacesError if the gap is not positive.
    """
    if not gap_hours > 0:
        raise PlacesError(f"the gap between sessions must be positive, got {gap_hours} hours")
    out = np.full(len(places), -1, np.int64)
    known = np.flatnonzero(~np.isnat(places.time))
    mixed = len(set(places.is_utc[known])) > 1
    time = (as_utc(places) if mixed else places.time)[known]
    order = np.argsort(time, kind="stable")
    gaps = np.diff(time[order]) / np.timedelta64(1, "h") > gap_hours
    out[known[order]] = np.concatenate([[0], np.cumsum(gaps)])[: len(known)]
    return out


def hold_out(places: Places, *, share: float = 0.3, seed: int = 0) -> HoldOut:
    """Split a table into a database and queries by the first of these rules that it allows:

    1. its split column, where it names both a database and queries;
    2. the sessions by day as the database and those by night as the queries, at least 10 photos each: a session is
       night if the sun's mean elevation is below -6 degrees, day if it is above 0, and left out otherwise;
    3. the latest sessions, about `share` of the photos, as the queries;
    4. about `share` of the photos of each cell of 25 m, or of each place label for photos without a position, drawn
       with `seed`; the last photo or panorama of a cell stays in the database.

    Rules 2 and 3 need a database photo within 25 m for at least one query in ten, and leave out photos without a time;
    rule 3 also needs the latest sessions to hold about `share` of the photos.
    Raises PlacesError for fewer than 2 photos, a share not between 0 and 1, or no cell with two photos.
    """
    if not 0 < share < 1:
        raise PlacesError(f"the share of queries must lie between 0 and 1, got {share}")
    if len(places) < 2:
        raise PlacesError(f"{counted(len(places), 'photo')} cannot be split into a database and queries: 2 are needed")
    return _by_split(places) or _by_session(places, share) or _by_cell(places, share, seed)


def split_rows(places: Places) -> tuple[BoolArray, BoolArray]:
    """Rows that the split column names database, and those that it names queries: bool (N,) each."""
    side = np.array([text.strip().lower() for text in places.split])
    return np.isin(side, _DATABASE), np.isin(side, _QUERY)


def _by_split(places: Places) -> HoldOut | None:
    database, queries = split_rows(places)
    if not database.any() or not queries.any():
        return None
    rest = len(places) - database.sum() - queries.sum()
    held = counted(int(database.sum()), "photo")
    how = f"by the split column, {held} are the database, {queries.sum()} are the queries"
    return HoldOut(places[database], places[queries], how + _left_out(rest, "of other splits"))


def _by_session(places: Places, share: float) -> HoldOut | None:
    label = sessions(places)
    timeless = int((label < 0).sum())
    if label.max() < 1 or timeless > len(places) / 2:
        return None
    day, night = _day_and_night(places, label)
    by_light = min(day.sum(), night.sum()) >= ENOUGH
    if by_light and _met(places[day], places[night]):
        twilight = len(places) - day.sum() - night.sum() - timeless
        how = f"{_count(day, label)} by day are the database, {_count(night, label)} by night are the queries"
        how += _left_out(twilight, "at twilight") + _left_out(timeless, "without a time")
        return HoldOut(places[day], places[night], how)
    late = _latest(label, share)
    early = (label >= 0) & ~late
    held = late.sum() / (len(places) - timeless)
    if not share / 3 <= held <= (1 + share) / 2 or not _met(places[early], places[late]):
        return None
    how = f"{_count(early, label)} are the database, {_count(late, label)} after them are the queries"
    return HoldOut(places[early], places[late], how + _left_out(timeless, "without a time"))


def _day_and_night(places: Places, label: IntArray) -> tuple[BoolArray, BoolArray]:
    known = label >= 0
    sun = np.bincount(label[known], weights=elevation(places)[known]) / np.bincount(label[known])
    mean = np.where(known, sun[label], np.nan)  # NaN, as in a planar table, is neither day nor night
    return mean > DAY, mean < NIGHT


def _latest(label: IntArray, share: float) -> BoolArray:
    """The photos of the last sessions, as many as come nearest to the share; never the first session."""
    sizes = np.bincount(label[label >= 0])
    held = np.cumsum(sizes[::-1])[:-1] / sizes.sum()
    return np.asarray(label >= len(sizes) - 1 - np.argmin(np.abs(held - share)))


def _met(database: Places, queries: Places) -> bool:
    found = np.diff(place_matches(queries, database, CELL).offsets) > 0
    return bool(found.mean() >= 0.1)


def _by_cell(places: Places, share: float, seed: int) -> HoldOut:
    """Draw from cells. Cut-outs of one panorama, and rows of one photo, share pixels and stay together."""
    number: dict[str, int] = {}
    names = np.where(places.panorama != "", places.panorama, places.path)
    unit = np.array([number.setdefault(name, len(number)) for name in names])
    first = np.unique(unit, return_index=True)[1]
    label = np.where(places.located, 0, 1 + np.unique(places.place.astype(str), return_inverse=True)[1].ravel())
    square = [np.nan_to_num(np.floor(metres / CELL)) for metres in (places.easting, places.northing)]
    cell = np.stack([places.utm, *square, label], axis=-1)
    home, size = np.unique(cell[first], axis=0, return_inverse=True, return_counts=True)[1:]
    home = home.ravel()
    if size.max() < 2:
        raise PlacesError(
            f"{len(places)} photos in {len(size)} cells of {CELL:g} m, none with two: no query would have "
            "anything to be found by; give two tables, or a split column that says database and query"
        )
    rng = np.random.default_rng(seed)
    # fractions are drawn: small cells would all round the same way
    wanted = np.minimum((share * size + rng.random(len(size))).astype(np.int64), size - 1)
    wanted[np.argmax(size)] = max(1, wanted[np.argmax(size)])
    order = rng.permutation(len(home))
    order = order[np.argsort(home[order], kind="stable")]
    rank = np.arange(len(order)) - (np.cumsum(size) - size)[home[order]]
    held = np.zeros(len(order), bool)
    held[order] = rank < wanted[home[order]]
    ask = held[unit]
    how = (
        f"no two sessions to hold against each other: {counted(int(ask.sum()), 'photo')} drawn from cells of "
        f"{CELL:g} m are the queries, the other {(~ask).sum()} the database: easier than a new visit would be"
    )
    return HoldOut(places[~ask], places[ask], how)


def _count(rows: Array, label: IntArray) -> str:
    number = len(np.unique(label[rows]))
    return f"{counted(int(rows.sum()), 'photo')} of {number} session{'s' * (number != 1)}"


def _left_out(number: int, why: str) -> str:
    return f"; {counted(number, 'photo')} {why} left out" if number else ""
