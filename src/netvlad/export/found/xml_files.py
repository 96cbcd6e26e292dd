"""Answers as GPX and KML: those that have a position in degrees."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from netvlad.export.found.table import Found, Value

if TYPE_CHECKING:
    from netvlad.maps.track import Tracked

NAMESPACE = "urn:x-netvlad:answer:1.0:"  # of what neither GPX nor XMP has a name for

_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TOLD = (
    "radius",
    "confidence",
    "absent",
    "verdict",
    "place",
    "heading",
    "map",
    "match",
    "distance",
    "inliers",
    "credit",
)


def write_gpx(found: Found, file: Path) -> None:
    """Write a way point a photo (GPX 1.1); what GPX has no name for stands in its extensions."""
    gpx = _gpx({"xmlns:netvlad": NAMESPACE})
    for row, (lon, lat) in _placed(found):
        point = ElementTree.SubElement(gpx, "wpt", lat=str(lat), lon=str(lon))
        _add(point, "name", row["photo"])
        _add(point, "desc", in_words(row))
        extensions = ElementTree.SubElement(point, "extensions")
        for name in _TOLD:
            if row[name] is not None:
                _add(extensions, f"netvlad:{name}", row[name])
    _write(gpx, file)


def gpx_track(track: Sequence[Tracked], name: str, start: datetime | None = None) -> str:
    """A GPX 1.1 file of the frames that are not lost, a segment for each stretch. start: the time at 0 s, UTC."""
    gpx = _gpx()
    whole = ElementTree.SubElement(gpx, "trk")
    _add(whole, "name", name)
    segment: ElementTree.Element | None = None
    for one in track:
        if one.lost or not math.isfinite(one.lat):
            segment = None
            continue
        segment = ElementTree.SubElement(whole, "trkseg") if segment is None else segment
        point = ElementTree.SubElement(segment, "trkpt", lat=f"{one.lat:.7f}", lon=f"{one.lon:.7f}")
        if start is not None:
            _add(point, "time", f"{(start + timedelta(seconds=one.t)).isoformat()}Z")
    ElementTree.indent(gpx)
    written: bytes = ElementTree.tostring(gpx, encoding="utf-8", xml_declaration=True)
    return written.decode() + "\n"


def write_kml(found: Found, file: Path) -> None:
    """Write a placemark a photo (KML 2.2), with everything else as its data."""
    kml = ElementTree.Element("kml", xmlns="http://www.opengis.net/kml/2.2")
    document = ElementTree.SubElement(kml, "Document")
    for row, (lon, lat) in _placed(found):
        placemark = ElementTree.SubElement(document, "Placemark")
        _add(placemark, "name", row["photo"])
        _add(placemark, "description", in_words(row))
        data = ElementTree.SubElement(placemark, "ExtendedData")
        for name in _TOLD:
            if row[name] is not None:
                _add(ElementTree.SubElement(data, "Data", name=name), "value", row[name])
        _add(ElementTree.SubElement(placemark, "Point"), "coordinates", f"{lon},{lat}")
    _write(kml, file)


def in_words(row: dict[str, Value]) -> str:
    """How firmly a place is known: "probable, within 25 m, confidence 0.83"."""
    sure = row["confidence"]
    return f"{row['verdict']}, within {row['radius']:g} m" + (f", confidence {sure:.2f}" if sure is not None else "")


def xml_text(value: Value) -> str:
    """A value as text, without the characters that XML cannot hold."""
    return _NO_XML.sub("\ufffd", str(value))


def _placed(found: Found) -> Iterator[tuple[dict[str, Value], tuple[float, float]]]:
    if found.geodetic:
        yield from ((row, point) for row, point in zip(found.rows, found.points, strict=True) if point)


def _add(parent: ElementTree.Element, name: str, value: Value) -> None:
    ElementTree.SubElement(parent, name).text = xml_text(value)


def _gpx(more: Mapping[str, str] | None = None) -> ElementTree.Element:
    """The root of a GPX 1.1 file. more: attributes beside its own."""
    own = {"version": "1.1", "creator": "netvlad", "xmlns": "http://www.topografix.com/GPX/1/1"}
    return ElementTree.Element("gpx", own | dict(more or {}))


def _write(root: ElementTree.Element, file: Path) -> None:
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
