"""UTM zones as people write them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.places.projection import is_utm
from netvlad.places.values import is_empty, shown, texts
from netvlad.types import Array

if TYPE_CHECKING:
    from netvlad.places.values import Column

_CODE = re.compile(r"(?:EPSG:+)?(\d{4,5})", re.IGNORECASE)
_ZONE = re.compile(r"(?:UTM)?[\s_-]*(?:ZONE)?[\s_-]*(\d{1,2})[\s_-]*([C-HJ-NP-X]|NORTH|SOUTH)?", re.IGNORECASE)


@lru_cache(maxsize=4096)
def _parse(zone: str) -> tuple[int, int, str] | None:
    """(EPSG code or 0, zone number, letter) of one spelling; None for anything else."""
    zone = zone.strip().removesuffix(".0")
    if len(zone) > 40:
        return None
    code = _CODE.fullmatch(zone)
    if code:
        return (int(code[1]), 0, "") if is_utm(int(code[1])) else None
    found = _ZONE.fullmatch(zone)
    return (0, int(found[1]), (found[2] or "").upper()) if found and 1 <= int(found[1]) <= 60 else None


def epsg_of(zone: Any, letter: Any, lat: float, northing: float) -> int | None:
    """EPSG code of a zone such as "36N", "17T", 36 with a letter beside it, 32636 or "EPSG:32636"; 0 unknown.

    None where `zone` is no zone, or a number whose hemisphere neither the letter nor the latitude (degrees, NaN
    unknown) tells. The letter S means the latitude band 32..40 N (California, Japan, the Mediterranean) if the
    northing, in metres, lies in that band, and the southern hemisphere otherwise; between 50 and 58 S write the EPSG
    code. Any other letter is a latitude band; N as a band and N for north agree.
    """
    zone = zone if isinstance(zone, str) else texts([zone])[0]
    if is_empty(zone) or zone == "0":  # 0 is unknown in `Places.utm`
        return 0
    parsed = _parse(zone)
    if parsed is None:
        return None
    code, number, own = parsed
    if code:
        return code
    letter = own or ("" if is_empty(letter) else str(letter).strip().upper())
    if lat == lat:  # not NaN
        north = lat >= 0
    elif letter in ("S", "SOUTH"):
        north = letter == "S" and 3_540_000 <= northing <= 4_430_000
    elif re.fullmatch("[C-HJ-NP-X]|NORTH", letter):
        north = letter >= "N"
    else:
        return None
    return (32600 if north else 32700) + number


def zones(column: Column, letters: Column | None, lat: Array, northing: Array) -> tuple[Array, dict[int, str]]:
    """EPSG codes (N,) int32 of a column of zones, 0 unknown, and row -> reason where one cannot be read."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu" and (is_utm(column) | (column == 0)).all():
        return column.astype(np.int32), {}
    out, bad = np.zeros(len(column), np.int32), dict[int, str]()
    for row, zone in enumerate(column):
        code = epsg_of(zone, None if letters is None else letters[row], lat[row], northing[row])
        if code is None:
            bad[row] = f"zone {shown(zone)} is no UTM zone with its hemisphere; 36N or EPSG code 32636 would be"
        else:
            out[row] = code
    return out, bad
