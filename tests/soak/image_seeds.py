"""Undamaged photos in every format that is read, drawn by the code, most with EXIF."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

SIZE = (64, 48)


def write_seeds(folder: Path) -> None:
    """Write good0.jpg at 31.25 degrees north, good1.jpg at 31.5, and one photo of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, lat in enumerate((31.25, 31.5)):
        _scene(100 + i).save(folder / f"good{i}.jpg", quality=90, exif=gps_exif(lat, 34.75))
    for i, (name, mode, options) in enumerate(_kinds()):
        image = _scene(i)
        image = _deep(image) if mode == "I;16" else image.convert(mode)
        image.save(folder / name, **options)


def gps_exif(lat: float, lon: float, turn: int = 1, block: Any = None) -> Any:
    """EXIF of a phone: position, heading, time and orientation, in a new block of Pillow's or in a TIFF's."""
    exif = Image.Exif() if block is None else block
    exif[0x0112] = turn
    exif[0x8825] = {
        1: "NS"[lat < 0],
        2: _dms(abs(lat)),
        3: "E",
        4: _dms(lon),
        17: IFDRational(1234, 10),
        29: "2025:05:01",
    }
    exif[0x8769] = {0x9003: "2025:05:01 12:00:00", 0x9011: "+02:00"}
    return exif


def _dms(degrees: float) -> tuple[IFDRational, ...]:
    minutes = degrees % 1 * 60
    return IFDRational(int(degrees)), IFDRational(int(minutes)), IFDRational(round(minutes % 1 * 6000), 100)


def _scene(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)


def _deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _kinds() -> list[tuple[str, str, dict[str, Any]]]:
    exif = gps_exif(-33.85, 151.2, 6)
    frames = [_scene(200), _scene(201)]
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("baseline.jpg", "RGB", {"quality": 85, "exif": exif}),
        ("progressive.jpg", "RGB", {"quality": 85, "progressive": True, "exif": exif}),
        ("grey.jpg", "L", {"quality": 70}),
        ("cmyk.jpg", "CMYK", {"quality": 80}),
        ("comment.jpg", "RGB", {"quality": 80, "comment": b'{"at": [1, 2]}', "icc_profile": bytes(range(256)) * 4}),
        ("rgb.png", "RGB", {"exif": exif}),
        ("rgba.png", "RGBA", {}),
        ("palette.png", "P", {"transparency": 3}),
        ("bits.png", "1", {}),
        ("deep.png", "I;16", {}),
        ("moving.png", "RGB", {"save_all": True, "append_images": frames}),
        ("plain.tif", "RGB", {"tiffinfo": gps_exif(-33.85, 151.2, 6, ImageFileDirectory_v2())}),
        ("lzw.tif", "RGB", {"compression": "tiff_lzw"}),
        ("deflate.tif", "L", {"compression": "tiff_adobe_deflate"}),
        ("jpeg.tif", "RGB", {"compression": "jpeg"}),
        ("deep.tif", "I;16", {}),
        ("pages.tif", "RGB", {"save_all": True, "append_images": frames}),
        ("moving.gif", "P", {"save_all": True, "append_images": [f.convert("P") for f in frames]}),
        ("still.gif", "P", {}),
        ("plain.bmp", "RGB", {}),
        ("palette.bmp", "P", {}),
        ("plain.ppm", "RGB", {}),
        ("grey.ppm", "L", {}),
    ]
    if features.check("webp"):
        kinds += [
            ("lossy.webp", "RGB", {"quality": 80, "exif": exif}),
            ("lossless.webp", "RGBA", {"lossless": True}),
            ("moving.webp", "RGB", {"save_all": True, "append_images": frames}),
        ]
    if ".avif" in Image.registered_extensions() and features.check("avif"):
        kinds += [("plain.avif", "RGB", {"quality": 80, "exif": exif})]
    if find_spec("pillow_heif"):
        import_module("pillow_heif").register_heif_opener()
        kinds += [("plain.heic", "RGB", {"quality": 80, "exif": exif}), ("rgba.heic", "RGBA", {"quality": 80})]
    return kinds
