"""Latitudes and longitudes as people write them."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from netvlad.places.values import floats, is_empty, shown
from netvlad.types import Array

if TYPE_CHECKING:
    from netvlad.places.values import Column

_NUMBER = r"\d+(?:[.,]\d+)?"
_ANGLE = re.compile(  # 48 deg 51' 24.00" N as exiftool prints it, 48°51.4'N, N 48,8567°, -48° 51′ 24″
    rf"(?P<before>[NSEW])?\s*(?P<sign>[-+−])?\s*(?P<degrees>{_NUMBER})"
    rf"(?:(?:\s*(?:degrees|deg|[°º˚])\s*|\s+)(?:(?P<minutes>{_NUMBER})"
    rf"(?:(?:\s*['′’´]\s*|\s+)(?:(?P<seconds>{_NUMBER})\s*(?:\"|″|”|''|′′)?)?)?)?)?"
    r"\s*(?P<behind>[NSEW])?",
    re.IGNORECASE,
)
_LONGEST = 64  # characters
_REFS = {"N": "N", "NORTH": "N", "S": "S", "SOUTH": "S", "E": "E", "EAST": "E", "W": "W", "WEST": "W"}
_AXES = {"lat": "NS", "lon": "EW"}


def angles(column: Column, refs: Column | None, what: str) -> tuple[Array, dict[int, str]]:
    """float64 degrees (N,), NaN where a cell is empty or cannot be read, and row -> reason for the latter.

    what: "lat" or "lon". Numbers may have a decimal comma, for neither has a thousand degrees. Cells of degrees,
    minutes and seconds need a hemisphere or a sign: exiftool has EXIF's own field without either.
    refs: the hemisphere of each row in a column of its own, as exiftool's GPSLatitudeRef.
    """
    out, bad = floats(column, True, what)
    for row in list(bad):
        if isinstance(column[row], str) and (found := _degrees(column[row], what, refs is not None)) is not None:
            out[row] = found
            del bad[row]
            if math.isnan(found):
                bad[row] = f"{what} {shown(column[row])} does not say {' or '.join(_AXES[what])}; a sign would do too"
    for row, ref in enumerate(refs if refs is not None else ()):
        if not is_empty(ref) and not math.isnan(out[row]):
            out[row] = _referred(out[row], str(ref), what)
            if math.isnan(out[row]):
                bad[row] = f"{what} {shown(column[row])} and its hemisphere {shown(ref)} do not go together"
    return out, bad


def _degrees(text: str, what: str, referred: bool) -> float | None:
    """Degrees of one cell; None for what is no angle, NaN for one whose hemisphere is open."""
    found = _ANGLE.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if not found:
        return None
    side = ((found["before"] or "") + (found["behind"] or "")).upper()
    parts = [found[name] for name in ("degrees", "minutes", "seconds")]
    degrees, minutes, seconds = (float((part or "0").replace(",", ".")) for part in parts)
    split = any(part and not part.isdigit() for part, rest in pairwise(parts) if rest)
    if (
        len(side) > 1
        or (side and (side not in _AXES[what] or found["sign"]))
        or minutes >= 60
        or seconds >= 60
        or split
    ):
        return None
    if not side and not found["sign"] and not referred and found["minutes"]:
        return math.nan
    size = degrees + minutes / 60 + seconds / 3600
    return -size if side in ("S", "W") or found["sign"] in ("-", "−") else size


def _referred(value: float, ref: str, what: str) -> float:
    """`value` on the side that `ref` names; NaN where they contradict each other."""
    side = _REFS.get(ref.strip().upper())
    if side is None or side not in _AXES[what] or (value < 0 and side in ("N", "E")):
        return math.nan
    return -abs(value) if side in ("S", "W") else value
