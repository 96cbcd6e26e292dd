"""Damage to photos that knows their formats: chunks with a valid checksum, segments, scans, EXIF."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping

from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from soak.image_seeds import gps_exif
from soak.mutate import NUMBERS, Rng, damage, pick, truncate

DATES = (
    "0001:01:01 00:00:00", "9999:12:31 23:59:59", "0000:00:00 00:00:00", "2025:13:45 99:99:99", "2025:05:01",
    "x" * 3000, "2025:05:01 12:00:00", "", "\x00", "9999-12-31T23:59:59+14:00", "1:1:1 1:1:1",
    "２０２５:05:01 12:00:00",
)  # fmt: skip
OFFSETS = ("+14:00", "-14:00", "+99:99", "Z", "", "+00:00", "-23:59", "+24:00", "abc", "+1e9:00")
ANGLES = ((1, 0), (0, 0), (2**32 - 1, 1), (91, 1), (1, 2**32 - 1), (31, 1), (181, 1))


def damage_image(seeds: Mapping[str, bytes], rng: Rng) -> tuple[str, bytes, bool]:
    """The name of a seed, its damaged content, and whether the content is only cut off."""
    name = pick(rng, [name for name in seeds if not name.startswith("good")])
    data, kind = seeds[name], rng.random()
    if kind < 0.12:
        return name, truncate(data, rng), not name.endswith(".gif")  # a GIF may lack its later frames
    if kind < 0.24:
        return name, _exif_photo(rng), False
    if kind < 0.5 and name.endswith(".png"):
        return name, _png(data, rng), False
    if kind < 0.5 and name.endswith(".jpg"):
        return name, _jpeg(data, rng), False
    return name, damage(data, rng, list(seeds.values()))[0], False


def _png(data: bytes, rng: Rng) -> bytes:
    """Damage within a chunk whose checksum is right all the same; chunks repeated, or that hold a bomb."""
    chunks = _chunks(data)
    at = int(rng.integers(len(chunks)))
    kind, body = chunks[at]
    action = rng.random()
    if action < 0.4 and body:
        chunks[at] = (kind, damage(body, rng)[0])
    elif action < 0.6:  # width, height, depth, colour type, compression, filter, interlace
        lies = [pick(rng, NUMBERS), pick(rng, NUMBERS), *(int(v) for v in rng.integers(0, 20, 5))]
        fields = list(struct.unpack(">IIBBBBB", chunks[0][1]))
        for i in rng.integers(0, 7, 2):
            fields[i] = lies[i]
        chunks[0] = (b"IHDR", struct.pack(">IIBBBBB", *fields))
    elif action < 0.75:
        chunks[at:at] = [chunks[at]] * int(pick(rng, (1, 10, 1000)))
    else:
        bomb = zlib.compress(bytes(int(pick(rng, (1000, 10**6, 3 * 10**7)))), 9)
        body = pick(rng, (b"zTXta\0\0", b"iTXta\0\1\0\0\0", b"iCCPa\0\0")) + bomb
        chunks.insert(int(pick(rng, (1, 1, len(chunks) - 1))), (body[:4], body[4:]))
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at + 12 <= len(data):
        n = struct.unpack_from(">I", data, at)[0]
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + n]))
        at += 12 + n
    return found


def _jpeg(data: bytes, rng: Rng) -> bytes:
    """Damage within a segment; segments and scans repeated up to a thousand times; a size that lies."""
    segments, scans = _segments(data)
    at = int(rng.integers(len(segments)))
    action = rng.random()
    if action < 0.35 and len(segments[at]) > 4:
        body = damage(segments[at][4:], rng)[0][:65000]
        segments[at] = segments[at][:2] + struct.pack(">H", len(body) + 2) + body
    elif action < 0.55:
        frame = next((i for i, s in enumerate(segments) if s[1] in (0xC0, 0xC2)), at)
        lie = struct.pack(">HH", *(pick(rng, NUMBERS) & 0xFFFF for _ in range(2)))
        segments[frame] = segments[frame][:5] + lie + segments[frame][9:]
    elif action < 0.8:
        segments[at:at] = [segments[at]] * int(pick(rng, (1, 20, 1000)))
    else:
        start = scans.rfind(b"\xff\xda")
        scans = scans[:-2] + scans[start:-2] * int(pick(rng, (1, 50, 500))) + scans[-2:]
    return data[:2] + b"".join(segments) + scans


def _segments(data: bytes) -> tuple[list[bytes], bytes]:
    """Those before the first scan, and the rest."""
    found, at = [], 2
    while at + 4 <= len(data) and data[at + 1] != 0xDA:
        n = struct.unpack_from(">H", data, at + 2)[0] + 2
        found.append(data[at : at + n])
        at += n
    return found, data[at:]


def _exif_photo(rng: Rng) -> bytes:
    """A good picture whose EXIF holds extremes, other types and broken bytes."""
    kind = pick(rng, ("JPEG", "PNG", "TIFF"))
    block = ImageFileDirectory_v2() if kind == "TIFF" else None
    exif = gps_exif(10.0, 20.0, pick(rng, (0, 1, 3, 6, 8, 9, 65535)), block)
    gps, more = exif[0x8825], exif[0x8769]
    more[0x9003], more[0x9011] = pick(rng, DATES), pick(rng, OFFSETS)
    for tag in (2, 4):
        if rng.random() < 0.5:
            gps[tag] = tuple(IFDRational(*pick(rng, ANGLES)) for _ in range(int(pick(rng, (1, 2, 3, 3, 3, 9)))))
    if rng.random() < 0.3:
        gps[int(pick(rng, (1, 3)))] = pick(rng, ("", "Q", "n", "\x1b[31m", "N" * 500))
    if rng.random() < 0.4:  # the satellites' clock instead of the camera's
        del more[0x9003]
        gps[29] = pick(rng, DATES)
        gps[7] = tuple(IFDRational(*pick(rng, ((23, 1), (99, 1), (0, 0), (2**32 - 1, 1)))) for _ in range(3))
    gps[17] = IFDRational(*pick(rng, ((1, 0), (0, 0), (360, 1), (2**32 - 1, 1), (3599, 10))))
    out = io.BytesIO()
    image = Image.new("RGB", (16, 12), (90, 120, 60))
    image.save(out, kind, **{"tiffinfo" if kind == "TIFF" else "exif": exif})
    data = out.getvalue()
    if rng.random() < 0.5:
        return data
    at = max(data.find(b"Exif\0\0"), data.find(b"eXIf"), 0)
    end = min(len(data), at + 400)
    return data[:at] + damage(data[at:end], rng, most=2)[0] + data[end:]
