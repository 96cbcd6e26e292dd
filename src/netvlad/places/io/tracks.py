"""GPX tracks: where a logger was when photos without a position were taken."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from xml.etree import ElementTree

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.io.exif import Shot, number
from netvlad.places.values import moment
from netvlad.runtime.files import refuse_irregular
from netvlad.types import Array

GAP = 5.0  # minutes
_MOST = 1 << 30  # bytes of a track
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d\d)(?::(\d\d))?")
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, eq=False)
class Tracks:
    """Tracks, and how a photo's time is found on them.

    tracks: of each file (N, 3) float64, seconds since 1970 in UTC, latitude and longitude, by time. gap: minutes
    between two points beyond which nothing is known of the way between them. offset: what wall clocks of cameras show
    minus UTC; None unknown.
    """

    tracks: Sequence[Array]
    gap: float = GAP
    offset: timedelta | None = None

    def placed(self, shot: Shot) -> Shot:
        """`shot` at its time on the tracks, if it has no position; with its time in UTC if the offset is known."""
        if shot.time is not None and not shot.is_utc and self.offset is not None:
            try:
                shot = replace(shot, time=shot.time - self.offset, is_utc=True)
            except OverflowError:  # in the first or last hours of datetime's years
                return shot
        lost = shot.trouble or ("(0, 0) degrees" if (shot.lat, shot.lon) == (0, 0) else "")
        if not lost:
            return shot
        if shot.time is None:
            return replace(shot, trouble=f"{lost}, and no time to look for on the track")
        if not shot.is_utc:
            reason = "its clock's offset from UTC is not known: --clock-offset +01:00:00 would state it"
            return replace(shot, trouble=f"{lost}, and {reason}")
        at = self.at((shot.time - _EPOCH).total_seconds())
        if at is None:
            when = f"{shot.time:%Y-%m-%d %H:%M:%S} UTC"
            return replace(shot, trouble=f"{lost}, and no points {self.gap:g} minutes apart around {when}")
        return replace(shot, lat=at[0], lon=at[1], trouble="")

    def at(self, seconds: float) -> tuple[float, float] | None:
        """Latitude and longitude at a time, between the two points nearest around it; None where none are near."""
        best = math.inf
        found = None
        for track in self.tracks:
            after = int(np.searchsorted(track[:, 0], seconds))
            if after < len(track) and track[after, 0] == seconds:
                return float(track[after, 1]), float(track[after, 2])
            if not 0 < after < len(track):
                continue
            before, behind = track[after - 1], track[after]
            apart = behind[0] - before[0]
            if apart <= min(60 * self.gap, best):
                best, share = apart, (seconds - before[0]) / apart
                turn = (behind[2] - before[2] + 180) % 360 - 180  # the short way, over the antimeridian as well
                lon = (before[2] + share * turn + 180) % 360 - 180
                found = float(before[1] + share * (behind[1] - before[1])), float(lon)
        return found


def read_tracks(
    files: Sequence[str | os.PathLike[str]], offset: str | timedelta | None = None, gap: float | None = None
) -> Tracks:
    """Tracks of GPX files. offset: "+01:00:00" or a timedelta; gap: minutes, GAP by default.

    Raises PlacesError for a file that is no GPX or has no points with a time, and for an offset that is none.
    """
    if gap is not None and not 0 < gap < math.inf:
        raise PlacesError(f"a gap of {gap:g} minutes between points: it is more than 0")
    stated = parse_offset(offset) if isinstance(offset, str) else offset
    return Tracks([_read(os.fspath(file)) for file in files], GAP if gap is None else gap, stated)


def parse_offset(text: str) -> timedelta:
    """What a camera's clock shows minus UTC, from "+01:00:00" or "-05:30". Raises PlacesError for anything else."""
    found = _OFFSET.fullmatch(text.strip())
    if not found or int(found[2]) > 23 or int(found[3]) > 59 or int(found[4] or 0) > 59:
        raise PlacesError(f"a clock offset is the camera's clock minus UTC, as +01:00:00, not {text!r}")
    size = timedelta(hours=int(found[2]), minutes=int(found[3]), seconds=int(found[4] or 0))
    return -size if found[1] == "-" else size


def _read(path: str) -> Array:
    try:
        refuse_irregular(path, error=PlacesError, most=_MOST)
        points = _points(path)
    except (ElementTree.ParseError, ValueError) as error:
        raise PlacesError(f"is no GPX: {error}", path=path) from None
    except OSError as error:
        raise PlacesError(f"cannot be read ({error.strerror})", path=path) from None
    if not points:
        raise PlacesError("has no track points with latitude, longitude and time", path=path)
    track = np.array(points)
    return track[np.unique(track[:, 0], return_index=True)[1]]


def _points(path: str) -> list[tuple[float, float, float]]:
    points = []
    for _, element in ElementTree.iterparse(path):
        if element.tag.rpartition("}")[2] != "trkpt":
            continue
        stamp = next((part.text or "" for part in element if part.tag.endswith("}time") or part.tag == "time"), "")
        time = moment(stamp)  # UTC by the standard, whether or not it says so
        lat, lon = number(element.get("lat")), number(element.get("lon"))
        if time and time[0] and abs(lat) <= 90 and abs(lon) <= 180:
            points.append(((time[0] - _EPOCH).total_seconds(), lat, lon))
        element.clear()
    return points
