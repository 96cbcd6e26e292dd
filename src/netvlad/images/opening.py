"""What is opened as a photo: regular files of known formats and bounded cost, checked before they are decoded."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO

from netvlad.errors import ImageError, NetvladError
from netvlad.images.archives import read_member, split_archive
from netvlad.runtime.addresses import is_address, open_address, read_address
from netvlad.runtime.files import irregular

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MAX_BYTES = 1 << 30  # of a file
MAX_PIXELS = 150_000_000  # a 16k panorama is 134 million; Pillow itself gives up at 179 million
MAX_SCANS = 100  # of a JPEG: progressive ones have about 10, and a file may hold a few pictures
MAX_SEGMENTS = 1000  # before the pixels of a JPEG; a gain map or a depth map takes about a hundred
MAX_EXIF = 16  # of these segments are EXIF: Pillow copies all of them for each
# Others can be decoders that nobody looks after, or run other programs (EPS runs Ghostscript).
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")
_PLUGINS = ("Jpeg", "Png", "WebP", "Tiff", "Bmp", "Gif", "Avif")  # JPEG reads MPO too; HEIF is pillow-heif's
MORE = "NETVLAD_IMAGE_FORMATS"  # variable of the environment: further formats by Pillow's names, as in PPM,JPEG2000
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")  # kinds of HEIF that hold HEVC
HEIC_EXTRA = "pip install 'netvlad[heif]'"


def check_regular(path: str | os.PathLike[str], most: int = MAX_BYTES) -> None:
    """Raise ImageError for what is no regular file, or one of more than `most` bytes; OSError where there is none.

    A pipe or a device never ends, and one that nobody writes to does not even open.
    """
    found = os.stat(path)
    if kind := irregular(found):
        raise ImageError(f"is {kind}, not a photo", path=path)
    if found.st_size > most:
        raise ImageError(f"has {found.st_size / 1e6:,.0f} MB, the limit is {most / 1e6:,.0f} MB", path=path)


def read_file(path: str | os.PathLike[str], most: int = MAX_BYTES) -> bytes:
    """The content of a photo. Raises ImageError as `check_regular`, OSError, and ValueError for an impossible path."""
    if isinstance(path, str) and is_address(path):
        try:
            return read_address(path, most)
        except NetvladError as e:
            raise ImageError(e.reason, path=path) from None
    if inside := split_archive(path):
        return read_member(*inside, most)
    check_regular(path, most)
    with open(path, "rb") as file:
        return file.read(most + 1)


def open_image(source: str | os.PathLike[str] | bytes, *, whole: bool = True) -> ImageFile:
    """Open a photo with Pillow without decoding it. whole: its pixels will be decoded, not only its EXIF block read.

    Raises ImageError for what is not regular, too large or too costly; Pillow's errors for what it cannot open.
    """
    from PIL import Image

    if not isinstance(source, bytes) and (whole or split_archive(source)):
        source = read_file(source)
    if isinstance(source, bytes):
        scans = source.count(b"\xff\xda") if source[:2] == b"\xff\xd8" else 0  # in pixels, FF is followed by 00
        if scans > MAX_SCANS:
            raise ImageError(f"is a JPEG of {scans} scans, the limit is {MAX_SCANS}")
        stream: BinaryIO = io.BytesIO(source)
        _check_head(stream)
        return Image.open(stream, formats=formats())
    if isinstance(source, str) and is_address(source):
        stream = open_address(source)  # of which little is fetched
        _check_head(stream)
        return Image.open(stream, formats=formats())
    check_regular(source)
    with open(source, "rb") as stream:
        _check_head(stream)
    return Image.open(source, formats=formats())


@lru_cache(maxsize=1)
def formats() -> tuple[str, ...]:
    """Formats that are opened, of those that this Pillow and its plug-ins read."""
    from PIL import Image

    for name in _PLUGINS:  # loading all of Pillow's takes twice as long, in each process
        import_module(f"PIL.{name}ImagePlugin")
    if "HEIF" not in Image.OPEN and find_spec("pillow_heif"):
        import_module("pillow_heif").register_heif_opener()
    more = [name.strip().upper() for name in os.environ.get(MORE, "").split(",") if name.strip()]
    if more:
        Image.init()
    unknown = [name for name in more if name not in Image.OPEN]
    if unknown:
        raise ImageError(f"${MORE} names {', '.join(unknown)}, which Pillow does not read")
    return tuple(name for name in (*FORMATS, *more) if name in Image.OPEN)


def check_pixels(width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Raise ImageError for a photo of more than `most` pixels."""
    if width * height > most:
        raise ImageError(
            f"{width}x{height} is {width * height / 1e6:.0f} million pixels, the limit is {most / 1e6:.0f} million; "
            "scale it down first"
        )


def _check_head(stream: BinaryIO) -> None:
    """Check what Pillow would do as soon as it opens a file: join the segments of a JPEG, make a WebP's canvas."""
    head = stream.read(30)
    if head[:2] == b"\xff\xd8":
        stream.seek(2)
        _check_segments(stream)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        check_pixels(*_webp_size(head))
    elif head[4:8] == b"ftyp" and head[8:12] in _HEIC and "HEIF" not in formats():
        raise ImageError(f"is a HEIC photo, which needs pillow-heif: {HEIC_EXTRA}, or save it as JPEG")
    stream.seek(0)


def _check_segments(stream: BinaryIO) -> None:
    exif = 0
    for _ in range(MAX_SEGMENTS):
        marker = stream.read(2)
        while marker == b"\xff\xff":  # fill bytes
            marker = marker[1:] + stream.read(1)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in (0xDA, 0xD9):
            return
        if marker[1] in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(stream.read(2), "big") - 2
        if length < 0:
            return
        start = stream.read(min(length, 4))
        stream.seek(length - len(start), os.SEEK_CUR)
        exif += marker[1] == 0xE1 and start == b"Exif"
        if exif > MAX_EXIF:
            raise ImageError(f"is a JPEG of more than {MAX_EXIF} EXIF blocks")
    raise ImageError(f"is a JPEG of more than {MAX_SEGMENTS} segments before its pixels")


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height in the first 30 bytes of a WebP; 0 and 0 where they are not there."""
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(head) >= 30:
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return 0, 0
