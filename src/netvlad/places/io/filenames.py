"""The convention by which names of photos state their places.

@ UTM_easting @ UTM_northing @ UTM_zone_number @ UTM_zone_letter @ latitude @ longitude @ pano_id @ tile_num @
heading @ pitch @ roll @ height @ timestamp @ note @ .jpg (without the spaces; a field may be empty, and the
name may stop early)
"""

from __future__ import annotations

import math
import os
from typing import Any

from netvlad.places.io.exif import Shot, number
from netvlad.places.values import moment
from netvlad.places.zones import epsg_of

_FULL = 16  # pieces of a whole name, with the empty one before the first @ and the suffix


def parse_name(path: str) -> Shot | None:
    """What the name of a photo says, or None if it does not follow the convention.

    Names that stop early are read up to the longitude: they differ in what follows it.
    """
    pieces = os.path.basename(path).split("@")
    if len(pieces) < 4 or pieces[0]:
        return None
    fields = [piece.strip() for piece in pieces[:-1]] + [""] * _FULL
    easting, northing, lat, lon = (number(fields[i]) for i in (1, 2, 5, 6))
    known = math.isfinite(easting) and math.isfinite(northing)
    if not known and not (math.isfinite(lat) and math.isfinite(lon)):
        return None
    utm = _zone(fields[3], fields[4], lat, northing)
    return Shot(lat, lon, easting, northing, utm, **(_rest(fields) if len(pieces) >= _FULL else {}))


def _zone(zone: str, letter: str, lat: float, northing: float) -> int:
    if not zone or not letter:
        return 0
    # in names a letter is always a latitude band: S is 32..40 N whatever the northing
    return epsg_of(zone, "N" if letter.upper() >= "N" else "M", lat, northing) or 0


def _rest(fields: list[str]) -> dict[str, Any]:
    time, is_utc = moment(fields[13]) or (None, False)
    heading = number(fields[9])
    return {
        "panorama": fields[7],
        "heading": heading if abs(heading) <= 360 else math.nan,
        "time": time,
        "is_utc": is_utc,
    }
