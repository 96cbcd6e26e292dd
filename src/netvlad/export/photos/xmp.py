"""Positions in XMP sidecars (ISO 16684-1; names of the properties from the Exif specification for XMP)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from netvlad.errors import NetvladError, first_line
from netvlad.export.found.xml_files import NAMESPACE, xml_text
from netvlad.export.photos.fix import DATUM, METHOD, Fix

EXIF = "http://ns.adobe.com/exif/1.0/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ABOUT, _DESCRIPTION = f"{_RDF} about", f"{_RDF} Description"
_TAG = re.compile(rb"<(?:[^\"'>]|\"[^\"]*\"|'[^']*')*>")
_NEW = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{rdf}">
  {block}
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


@dataclass
class _Seen:
    """What a sidecar holds. Offsets are of bytes.

    about: the subject of its descriptions. end: offset of the end tag of rdf:RDF, or of its only tag. own: offsets of
    descriptions that this program wrote and nobody changed. positions: how many others there are.
    """

    about: str = ""
    end: int | None = None
    own: list[int] = field(default_factory=list)
    positions: int = 0
    open_at: list[int] = field(default_factory=list)


def sidecar(fix: Fix, before: bytes | None) -> bytes:
    """A sidecar that states `fix`: a new one, or `before` with one description more, or another one of our own.

    Every other byte of `before` stays. Raises NetvladError for one that states a position already, or is no XMP.
    """
    if before is None or not before.strip():
        return _NEW.format(rdf=_RDF, block=_block(fix, "")).encode()
    seen = _read(before)
    if seen.positions:
        raise NetvladError("its sidecar states a position already")
    block = _block(fix, seen.about).encode()
    if seen.own:
        first = seen.own[0]
        return before[:first] + block + before[_end_of_tag(before, first) :]
    if seen.end is None:
        raise NetvladError("its sidecar holds no RDF, so it is no XMP")
    if before.startswith(b"</", seen.end):
        return before[: seen.end] + block + b"\n " + before[seen.end :]
    end = _end_of_tag(before, seen.end)  # <rdf:RDF ... /> holds nothing yet
    name = re.match(rb"<([^\s/>]+)", before[seen.end : end])
    assert name is not None
    opened = before[seen.end : end].removesuffix(b"/>") + b">"
    return before[: seen.end] + opened + block + b"</" + name[1] + b">" + before[end:]


def _block(fix: Fix, about: str) -> str:
    """One rdf:Description with attributes only. It declares its own prefixes, so that it fits anywhere."""
    values = {
        "rdf:about": about,
        "exif:GPSVersionID": "2.3.0.0",
        "exif:GPSLatitude": _degrees(fix.lat, "N", "S"),
        "exif:GPSLongitude": _degrees(fix.lon, "E", "W"),
        "exif:GPSMapDatum": DATUM,
        "exif:GPSProcessingMethod": METHOD,
        "exif:GPSHPositioningError": _rational(fix.radius),
    }
    if fix.heading is not None:
        values |= {"exif:GPSImgDirection": _rational(fix.heading), "exif:GPSImgDirectionRef": "T"}
    values |= {f"netvlad:{name}": text for name, text in fix.told.items()}
    names = {"xmlns:rdf": _RDF, "xmlns:exif": EXIF, "xmlns:netvlad": NAMESPACE}
    return f"<rdf:Description {' '.join(f'{k}={quoteattr(xml_text(v))}' for k, v in (names | values).items())}/>"


def _degrees(value: float, plus: str, minus: str) -> str:
    """Degrees and minutes as XMP has them: 31,15.717989N."""
    whole, minutes = divmod(round(abs(value) * 60, 6), 60)
    return f"{whole:.0f},{minutes:.6f}{minus if value < 0 else plus}"


def _rational(value: float) -> str:
    return f"{round(value * 100)}/100"


def _read(content: bytes) -> _Seen:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise NetvladError("its sidecar is not UTF-8 text") from None
    seen = _Seen()
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    first = True

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal first
        at = parser.CurrentByteIndex
        seen.open_at.append(at)
        if name == _DESCRIPTION and _ABOUT in attributes and first:
            seen.about, first = attributes[_ABOUT], False
        if name == _DESCRIPTION and f"{EXIF} GPSLatitude" in attributes and _is_own(attributes):
            seen.own.append(at)
        else:
            seen.positions += _states_position(name) + any(map(_states_position, attributes))

    def end(name: str) -> None:
        begun = seen.open_at.pop()
        closed = content.endswith(b"/>", begun, _end_of_tag(content, begun))
        if begun in seen.own and not closed:  # somebody put something into it
            seen.own.remove(begun)
            seen.positions += 1
        if name == f"{_RDF} RDF":
            seen.end = begun if closed else parser.CurrentByteIndex

    def refuse(*_: Any) -> None:
        raise NetvladError("its sidecar declares a document type, which XMP has none of")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as e:
        raise NetvladError(f"its sidecar is no XML ({first_line(e)})") from None
    return seen


def _is_own(attributes: dict[str, str]) -> bool:
    spaces = {name.rpartition(" ")[0] for name in attributes}
    gps = all(name.startswith(f"{EXIF} GPS") for name in attributes if name.startswith(EXIF))
    return gps and f"{NAMESPACE} verdict" in attributes and spaces == {_RDF, EXIF, NAMESPACE}


def _states_position(name: str) -> bool:
    return name in (f"{EXIF} GPSLatitude", f"{EXIF} GPSLongitude")


def _end_of_tag(content: bytes, start: int) -> int:
    found = _TAG.match(content, start)
    assert found is not None  # it was parsed
    return found.end()
