"""A GPS directory in an EXIF block (TIFF 6.0, Exif 2.32), added behind everything that is there.

Nothing that is there moves, so that offsets in maker notes, which only their maker can read, stay right.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from netvlad.errors import NetvladError
from netvlad.export.photos.fix import DATUM, METHOD, Fix

_GPS_POINTER = 0x8825
_BYTE, _ASCII, _LONG, _RATIONAL, _UNDEFINED = 1, 2, 4, 5, 7
_VERSION, _LAT, _LON, _HEADING_REF, _HEADING = 0, 2, 4, 16, 17
_OWN = (_VERSION, _HEADING_REF, _HEADING)  # what the camera states of these stays
_ENTRY = 12  # bytes


@dataclass(frozen=True)
class _Directory:
    """entries: tag -> its 12 bytes. where: tag -> offset of these. following: the bytes of the next offset."""

    entries: dict[int, bytes]
    where: dict[int, int]
    following: bytes


def with_gps(block: bytes | None, fix: Fix) -> bytes:
    """A TIFF block that states `fix`: a new one, or `block` and a GPS directory behind it.

    Of `block` nothing but the offset of the first or of the GPS directory changes. Raises NetvladError for a block that
    states a position already, or cannot be read.
    """
    block = b"MM\0*\0\0\0\x08\0\0\0\0\0\0" if block is None else block  # an empty directory
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        raise NetvladError("its EXIF block is damaged: it does not begin as TIFF does")
    first = _directory(block, _number(block, 4, order), order)
    gps = _Directory({}, {}, bytes(4))
    if _GPS_POINTER in first.entries:
        gps = _directory(block, _number(block, first.where[_GPS_POINTER] + 8, order), order)
    if {_LAT, _LON} & gps.entries.keys():
        raise NetvladError("has a position in its EXIF block already")
    grown = bytearray(block)
    at = _append(grown, gps, _fields(fix, order, kept=gps.entries.keys() & set(_OWN)), order)
    pointer = struct.pack(f"{order}HHII", _GPS_POINTER, _LONG, 1, at)
    if _GPS_POINTER in first.entries:
        offset = first.where[_GPS_POINTER]
        grown[offset : offset + _ENTRY] = pointer
    else:
        at = _append(grown, first, {_GPS_POINTER: (_LONG, 1, struct.pack(f"{order}I", at))}, order)
        grown[4:8] = struct.pack(f"{order}I", at)
    return bytes(grown)


def _fields(fix: Fix, order: str, kept: set[int]) -> dict[int, tuple[int, int, bytes]]:
    """Tag -> type, count and value."""

    def rationals(*values: tuple[float, int]) -> tuple[int, int, bytes]:
        pairs = [number for value, unit in values for number in (round(value * unit), unit)]
        return _RATIONAL, len(values), struct.pack(f"{order}{len(pairs)}I", *pairs)

    def text(value: str) -> tuple[int, int, bytes]:
        return _ASCII, len(value) + 1, value.encode("ascii") + b"\0"

    def degrees(value: float) -> tuple[int, int, bytes]:
        minutes, seconds = divmod(round(abs(value) * 3600, 4), 60)
        return rationals((minutes // 60, 1), (minutes % 60, 1), (seconds, 10_000))

    method = b"ASCII\0\0\0" + METHOD.encode("ascii")
    found = {
        _VERSION: (_BYTE, 4, bytes([2, 3, 0, 0])),
        1: text("S" if fix.lat < 0 else "N"),
        _LAT: degrees(fix.lat),
        3: text("W" if fix.lon < 0 else "E"),
        _LON: degrees(fix.lon),
        18: text(DATUM),
        27: (_UNDEFINED, len(method), method),
        31: rationals((fix.radius, 100)),  # GPSHPositioningError
    }
    if fix.heading is not None and not kept & {_HEADING, _HEADING_REF}:
        found |= {_HEADING_REF: text("T"), _HEADING: rationals((fix.heading, 100))}
    return {tag: value for tag, value in found.items() if tag not in kept}


def _directory(block: bytes, at: int, order: str) -> _Directory:
    if at < 8 or at + 2 > len(block):
        raise NetvladError("its EXIF block is damaged: a directory lies outside of it")
    count = int(struct.unpack_from(f"{order}H", block, at)[0])
    end = at + 2 + count * _ENTRY
    if end > len(block):
        raise NetvladError("its EXIF block is damaged: a directory goes beyond its end")
    offsets = range(at + 2, end, _ENTRY)
    tags = [int(struct.unpack_from(f"{order}H", block, offset)[0]) for offset in offsets]
    if len(set(tags)) < count:
        raise NetvladError("its EXIF block is damaged: a directory names a field twice")
    entries = {tag: block[offset : offset + _ENTRY] for tag, offset in zip(tags, offsets, strict=True)}
    return _Directory(entries, dict(zip(tags, offsets, strict=True)), block[end : end + 4].ljust(4, b"\0"))


def _append(block: bytearray, old: _Directory, new: dict[int, tuple[int, int, bytes]], order: str) -> int:
    """Append the entries of `old` as they are, and `new` ones in their place; returns the offset of the directory."""
    entries = dict(old.entries)
    for tag, (kind, count, value) in new.items():
        if len(value) > 4:
            at = _even(block)
            block += value
            value = struct.pack(f"{order}I", at)
        entries[tag] = struct.pack(f"{order}HHI", tag, kind, count) + value[:4].ljust(4, b"\0")
    at = _even(block)
    block += struct.pack(f"{order}H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + old.following
    return at


def _even(block: bytearray) -> int:
    """The end of the block, after a byte of padding where it is odd: values begin on even offsets."""
    block += b"\0" * (len(block) % 2)
    return len(block)


def _number(block: bytes, at: int, order: str) -> int:
    if at + 4 > len(block):
        raise NetvladError("its EXIF block is damaged: it is cut off")
    return int(struct.unpack_from(f"{order}I", block, at)[0])
