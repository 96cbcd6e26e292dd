"""What a photo itself says about where, which way and when it was taken."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from netvlad.errors import ImageError, first_line
from netvlad.images.opening import open_image
from netvlad.places.values import moment, offset_of

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_MAKE, _MODEL, _SERIAL = 0x010F, 0x0110, 0xA431  # BodySerialNumber
_TAKEN, _OFFSET = 0x9003, 0x9011  # DateTimeOriginal, OffsetTimeOriginal
_LAT_REF, _LAT, _LON_REF, _LON, _TIME, _DIRECTION, _METHOD, _DATE = 1, 2, 3, 4, 7, 17, 27, 29


@dataclass(frozen=True)
class Shot:
    """What a photo itself says of its place and time.

    lat, lon, easting, northing, heading: NaN unknown. utm: EPSG code, 0 unknown. time: None unknown. is_utc: whether
    time is UTC or a wall clock. method: what found the position, as it calls itself, "" unknown. trouble: why there is
    no position. doubt: what else could not be read.
    """

    lat: float = math.nan
    lon: float = math.nan
    easting: float = math.nan
    northing: float = math.nan
    utm: int = 0
    heading: float = math.nan
    time: datetime | None = None
    is_utc: bool = False
    panorama: str = ""
    method: str = ""
    trouble: str = ""
    doubt: str = ""


def read_exif(path: str) -> Shot:
    """Position, heading and time from the EXIF block of a photo; its pixels are not decoded.

    Broken fields count as missing. The heading is taken as true north: GPSImgDirectionRef may call it magnetic, some
    degrees off, but cameras do not fill it in reliably.
    """
    try:
        with open_image(path, whole=False) as image:
            # getexif decodes a PNG without EXIF in search of one
            if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
                return Shot(trouble="no EXIF GPS")
            exif = image.getexif()
            gps, more = exif.get_ifd(_GPS_IFD), exif.get_ifd(_EXIF_IFD)
    except FileNotFoundError:
        return Shot(trouble="no such file")
    except ImageError as error:
        return Shot(trouble=error.reason)
    except Exception as error:  # Pillow raises nearly anything on broken bytes
        return Shot(trouble=f"not readable as a photo ({type(error).__name__}: {first_line(error)})")
    method = _text(gps.get(_METHOD)).removeprefix("ASCII").strip("\0")  # behind the name of its character set
    return replace(_position(gps), heading=number(gps.get(_DIRECTION)), method=method, **_when(more, gps))


def read_camera(path: str) -> str:
    """Maker, model and serial number of the camera of a photo, as its EXIF block names them; "" where it does not."""
    try:
        with open_image(path, whole=False) as image:
            exif = image.getexif()
            parts = [exif.get(_MAKE), exif.get(_MODEL), exif.get_ifd(_EXIF_IFD).get(_SERIAL)]
    except Exception:  # as in read_exif
        return ""
    return " ".join(filter(None, map(_text, parts)))


def _position(gps: dict[int, Any]) -> Shot:
    if _LAT not in gps or _LON not in gps:
        return Shot(trouble="no EXIF GPS")
    lat, lon = _degrees(gps[_LAT]), _degrees(gps[_LON])
    if math.isnan(lat) or math.isnan(lon):
        return Shot(trouble="EXIF GPS is broken: latitude and longitude are no numbers")
    refs = _text(gps.get(_LAT_REF)).upper(), _text(gps.get(_LON_REF)).upper()
    if refs[0] not in ("N", "S") or refs[1] not in ("E", "W"):
        return Shot(trouble="EXIF GPS lacks N or S, or E or W, so the hemisphere is unknown")
    return Shot(lat=-lat if refs[0] == "S" else lat, lon=-lon if refs[1] == "W" else lon)


def _degrees(value: Any) -> float:
    """Degrees from (degrees, minutes, seconds).

    A broken part (0/0, which some cameras write for the seconds) counts as zero only if the part before it has a
    fraction; otherwise the position would be silently off.
    """
    parts = [number(part) for part in (value if isinstance(value, tuple | list) else (value,))] or [math.nan]
    total = parts[0]
    for before, part, unit in zip(parts, parts[1:], (60, 3600), strict=False):
        if math.isnan(part):
            return total if before % 1 else math.nan
        total += part / unit
    return total


def _when(more: dict[int, Any], gps: dict[int, Any]) -> dict[str, Any]:
    """The camera's clock, with its offset from UTC if there is one; else the satellites' clock, which is UTC."""
    found = moment(_text(more.get(_TAKEN)))
    if found and found[0]:
        try:
            return {"time": found[0] - offset_of(_text(more.get(_OFFSET))), "is_utc": True}
        except (ValueError, OverflowError):  # no offset, or blanks for one; or the last hours of the year 9999
            return {"time": found[0], "is_utc": found[1]}
    clock = gps.get(_TIME)
    parts = [number(part) for part in clock] if isinstance(clock, tuple | list) else []
    if len(parts) == 3 and not any(map(math.isnan, parts)):
        hour, minute, second = (int(part) for part in parts)
        found = moment(f"{_text(gps.get(_DATE))} {hour:02}:{minute:02}:{second:02}")
        if found and found[0]:
            return {"time": found[0], "is_utc": True}
    return {}


def number(value: Any) -> float:
    """A number, text, a rational of Pillow's or a (numerator, denominator) pair as float; NaN for anything else."""
    try:
        if isinstance(value, tuple | list):
            value = value[0] / value[1] if len(value) == 2 else math.nan
        return float(value) if math.isfinite(float(value)) else math.nan
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return math.nan


def _text(value: Any) -> str:
    value = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return value.strip().strip("\0").strip() if isinstance(value, str) else ""
