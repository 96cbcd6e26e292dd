"""XMP sidecars: what programs that leave photos as they are write beside them."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from netvlad.places.io.exif import Shot, number, read_exif
from netvlad.places.values import moment

_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
_TIMES = (
    f"{_EXIF}DateTimeOriginal",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated",
    "{http://ns.adobe.com/xap/1.0/}CreateDate",
    f"{_EXIF}GPSTimeStamp",  # a whole date in XMP
)
_ANGLE = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])")  # 48,51.4N and 48,51,24N
_MOST = 16 << 20  # bytes; an editor's history takes some
_OWN = "netvlad"  # GPSProcessingMethod of answers, which are no known places


def read_shot(path: str) -> Shot:
    """What a photo and its sidecar say, photo.jpg.xmp or photo.xmp. What the sidecar states counts: it is the later.

    A position that this package found itself is none: it is an answer, and answers must not become the map.
    """
    shot = read_exif(path)
    if shot.method.lower() == _OWN:
        own = "the position in its EXIF block is an answer of netvlad, and no known place"
        shot = replace(shot, lat=math.nan, lon=math.nan, trouble=shot.trouble or own)
    found = sidecar_of(path)
    return shot if found is None else _joined(shot, found)


def sidecar_of(path: str) -> str | None:
    """The sidecar of a photo: photo.jpg.xmp as darktable names it, or photo.xmp as Adobe does; None without one."""
    return next((name for name in _names(path) if os.path.isfile(name)), None)


def _names(path: str) -> list[str]:
    return [base + suffix for base in (path, os.path.splitext(path)[0]) for suffix in (".xmp", ".XMP")]


def _joined(shot: Shot, sidecar: str) -> Shot:
    name = os.path.basename(sidecar)
    try:
        stated = _properties(sidecar)
    except (OSError, ValueError, ElementTree.ParseError, RecursionError) as error:
        return replace(shot, doubt=f"its sidecar {name} cannot be read ({error})")
    changes: dict[str, Any] = {}
    heading = _number(stated.get(f"{_EXIF}GPSImgDirection", ""))
    if not math.isnan(heading):
        changes["heading"] = heading
    for time in (moment(stated[key]) for key in _TIMES if key in stated):
        if time and time[0]:
            changes |= {"time": time[0], "is_utc": time[1]}
            break
    lat, lon = (stated.get(f"{_EXIF}GPS{which}") for which in ("Latitude", "Longitude"))
    if lat is None or lon is None:
        return replace(shot, **changes)
    if stated.get(f"{_EXIF}GPSProcessingMethod", "").strip().lower() == _OWN:
        own = f"the position in its sidecar {name} is an answer of netvlad, and no known place"
        return replace(shot, **changes, trouble=own if shot.trouble else "")
    at = _degrees(lat, "NS"), _degrees(lon, "EW")
    if math.isnan(sum(at)):
        return replace(
            shot, **changes, doubt=f"the position in its sidecar {name} cannot be read: {lat[:40]!r}, {lon[:40]!r}"
        )
    return replace(shot, **changes, lat=at[0], lon=at[1], trouble="")


def _properties(path: str) -> dict[str, str]:
    """Name -> text of the simple properties, which are attributes of a description or elements in it."""
    if os.path.getsize(path) > _MOST:
        raise ValueError(f"it has more than {_MOST:,} bytes")
    with open(path, "rb") as file:
        data = file.read(_MOST)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("it declares entities, as no XMP does")
    found: dict[str, str] = {}
    for description in ElementTree.fromstring(data).iter(_DESCRIPTION):
        found |= description.attrib
        found |= {part.tag: part.text.strip() for part in description if part.text and part.text.strip()}
    return found


def _degrees(text: str, sides: str) -> float:
    """Degrees of an angle as XMP writes it, or of a plain number, which some programs write; NaN for anything else."""
    found = _ANGLE.fullmatch(text.strip().upper())
    if not found:
        return number(text)
    size = int(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600
    if found[4] not in sides or float(found[2]) >= 60 or float(found[3] or 0) >= 60:
        return math.nan
    return -size if found[4] in "SW" else size


def _number(text: str) -> float:
    """A number or a fraction: 90.5, 9050/100."""
    return number(tuple(map(number, text.split("/")))) if "/" in text else number(text)
