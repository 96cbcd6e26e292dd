"""The EXIF segment of a JPEG file, exchanged without touching any other byte."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad.errors import NetvladError

_SOI, _SOS, _EOI = b"\xff\xd8", 0xDA, 0xD9
_APP0, _APP1, _APP2 = 0xE0, 0xE1, 0xE2
_EXIF, _XMP, _MPF = b"Exif\0", b"http://ns.adobe.com/x", b"MPF\0"
_LARGEST = 0xFFFF  # a segment with the two bytes of its length


@dataclass(frozen=True)
class Segment:
    """Bytes [start, end) of a file are a marker, its length and `content`."""

    marker: int
    start: int
    end: int
    content: bytes


def head(photo: bytes) -> list[Segment]:
    """The segments before the first scan. Raises NetvladError for what is no JPEG, or is cut off there."""
    if not photo.startswith(_SOI):
        raise NetvladError("is no JPEG: --xmp writes a sidecar beside it instead")
    segments: list[Segment] = []
    at = 2
    while True:
        before = at
        while photo[at : at + 1] == b"\xff":  # any number of them may stand before a marker, and stay where they are
            at += 1
        start = at - 1
        if at == before or at + 2 >= len(photo) or photo[at] in (0, _EOI):
            raise NetvladError("is a damaged JPEG: its segments end before a scan")
        marker, size = photo[at], int.from_bytes(photo[at + 1 : at + 3], "big")
        if marker == _SOS:
            return segments
        end = at + 1 + size
        if size < 2 or end > len(photo):
            raise NetvladError("is a damaged JPEG: a segment goes beyond its end")
        segments.append(Segment(marker, start, end, photo[at + 3 : end]))
        at = end


def exif_block(segments: list[Segment]) -> bytes | None:
    """The TIFF block of the EXIF segment, None where there is none.

    Raises NetvladError for several, and where XMP in the photo states a position.
    """
    found = [s for s in segments if _is_exif(s)]
    if len(found) > 1:
        raise NetvladError("has several EXIF segments")
    if any(s.marker == _APP1 and s.content.startswith(_XMP) and b"GPSLatitude" in s.content for s in segments):
        raise NetvladError("states a position already, in XMP")
    return found[0].content[6:] if found else None


def with_exif_block(photo: bytes, segments: list[Segment], block: bytes) -> bytes:
    """`photo` with `block` in its EXIF segment, or in a new one behind SOI and JFIF.

    Raises NetvladError where the block is too large for a segment, or would move what other offsets count from.
    """
    content = _EXIF + b"\0" + block
    if len(content) + 2 > _LARGEST:
        raise NetvladError(f"its EXIF block has no room: a segment holds {_LARGEST:,} bytes")
    at = next((i for i, s in enumerate(segments) if _is_exif(s)), None)
    before = segments[:at] if at is not None else []
    if any(s.marker == _APP2 and s.content.startswith(_MPF) for s in before):
        raise NetvladError("holds several pictures, whose offsets count from before its EXIF block")
    if at is not None:
        start, end = segments[at].start, segments[at].end
    else:
        start = 2
        for segment in segments:
            if segment.marker != _APP0:
                break
            start = segment.end
        end = start
    size = (len(content) + 2).to_bytes(2, "big")
    return photo[:start] + b"\xff\xe1" + size + content + photo[end:]


def _is_exif(segment: Segment) -> bool:
    return segment.marker == _APP1 and segment.content.startswith(_EXIF)
