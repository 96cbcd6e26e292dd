"""Panoramas: what a perspective camera inside one sees, and how far away it is.

A panorama is equirectangular, twice as wide as high, and shows its `heading` halfway across. Its depth, where there is
one, lies in a folder `depth` beside the photo's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from netvlad.errors import ImageError, PlacesError
from netvlad.panoramas.camera import Camera, panorama_pixels
from netvlad.runtime.files import atomic

CAP = 60.0  # degrees of elevation from which on a row has more than twice the columns that the sphere has room for
_RAYS_AT_ONCE = 1_000_000  # about 0.1 GB while they are turned into pixels
_FAR = 65535  # in a depth file: sky, or farther than 655 m


def cut_out(panorama: np.ndarray, camera: Camera, heading: float = 0.0) -> np.ndarray:
    """What `camera` sees in a panorama: (camera.height, camera.width, C) uint8.

    panorama (H, 2H, C) uint8 with C = 3 (RGB) or 4 (RGB and alpha); heading: degrees, of its middle column.
    Where the cut-out is coarser than the panorama it shows the mean over each of its pixels, so nothing aliases; where
    it is finer, pixels are interpolated linearly. Alpha weighs the colours: what is undefined (alpha 0) bleeds into
    nothing, and the alpha of a cut-out's pixel tells how much of it is defined.
    Errors: PlacesError for an image that is no panorama, and for a heading that is no number.
    """
    return next(cut_outs(panorama, [camera], heading))


def cut_outs(panorama: np.ndarray, cameras: Iterable[Camera], heading: float = 0.0) -> Iterator[np.ndarray]:
    """`cut_out` for each of `cameras`, in order; what they have in common is done once."""
    import cv2

    panorama = np.asarray(panorama)
    if panorama.dtype != np.uint8 or panorama.ndim != 3 or panorama.shape[2] not in (3, 4):
        raise PlacesError(f"a panorama is (H, W, 3) or (H, W, 4) uint8, got {panorama.shape} {panorama.dtype}")
    _check_shape(panorama)
    sources = {}
    for camera in cameras:
        turn = _turn(camera, heading)
        shrink, side, caps, x, y = _samples(replace(camera, heading=0.0), panorama.shape[1])
        if (shrink, caps) not in sources:
            sources[shrink, caps] = _source(panorama, shrink, caps)
        source = sources[shrink, caps]
        width = source.shape[1] - 2  # of the panorama in it, which has a border
        across = x + np.float32(turn * width + 1)
        np.subtract(across, np.float32(width), out=across, where=across >= width + 0.5)
        seen = cv2.remap(source, across, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if side > 1:
            seen = cv2.resize(seen, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        yield seen if seen.shape[2] == 3 else _unweighted(seen)


def cut_out_depth(depth: np.ndarray, camera: Camera, heading: float = 0.0) -> np.ndarray:
    """How far away what `camera` sees is, along each pixel's ray: (camera.height, camera.width) float32 metres.

    depth (H, 2H) metres, as `read_depth` gives it, of a panorama whose middle column shows `heading`. Each pixel takes
    the nearest value: a mean over an edge would be a surface that is not there.
    Errors: PlacesError for a depth of other proportions, and for a heading that is no number.
    """
    depth = np.asarray(depth, np.float32)
    if depth.ndim != 2:
        raise PlacesError(f"the depth of a panorama is (H, W), got {depth.shape}")
    _check_shape(depth)
    _turn(camera, heading)
    height, width = depth.shape
    x, y = panorama_pixels(camera.rays(), width, heading)
    x, y = np.floor(x + 0.5).astype(int) % width, np.floor(y + 0.5).astype(int)
    return depth[np.clip(y, 0, height - 1), x]


def read_panorama(path: str | os.PathLike) -> np.ndarray:
    """A panorama's photo: (H, 2H, 3) uint8 RGB, or (H, 2H, 4), alpha 0 or 255, where it has undefined pixels.

    Errors: ImageError for what cannot be decoded, PlacesError for what is not twice as wide as high.
    """
    from netvlad.images.read import read_image

    photo = read_image(path, alpha=True)
    _check_shape(photo, f"{os.fspath(path)}: ")
    return photo


def depth_path(photo: str | os.PathLike) -> Path:
    """Where the depth of a panorama's photo is kept: FOLDER/panoramas/NAME.jpg has FOLDER/depth/NAME.png."""
    photo = Path(photo)
    return photo.parent.parent / "depth" / f"{photo.stem}.png"


def read_depth(path: str | os.PathLike) -> np.ndarray:
    """Metres along each pixel's ray: (H, W) float32, NaN unknown, inf sky or farther than 655 m.

    Errors: ImageError, naming the file, for one that is missing or no 16-bit grey PNG.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in ("I;16", "I;16B", "I;16L", "I"):  # "I": what Pillow before 11 makes of 16 bits
                raise ImageError(f"{os.fspath(path)}: depth is a 16-bit grey PNG in centimetres, this is {image.mode}")
            stored = np.asarray(image)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{os.fspath(path)}: no such file") from None
    except Exception as e:  # Pillow's readers raise nearly anything on broken bytes
        raise ImageError(f"{os.fspath(path)}: is no depth that can be read ({e})") from e
    metres = stored.astype(np.float32) / 100
    metres[stored == 0] = np.nan
    metres[stored == _FAR] = np.inf
    return metres


def write_depth(path: str | os.PathLike, depth: np.ndarray) -> None:
    """Write metres (H, W) as a 16-bit PNG of centimetres, whole or not at all; `read_depth` reads it back.

    NaN and 0 are unknown; inf and what is farther than 655.34 m is far away. Errors: PlacesError for negative metres.
    """
    from PIL import Image

    depth = np.asarray(depth, np.float64)
    if depth.ndim != 2 or not depth.size or (depth < 0).any():
        raise PlacesError(f"a depth is (H, W) metres from 0 up, got {depth.shape} from {np.nanmin(depth, initial=0):g}")
    unknown = np.isnan(depth) | (depth == 0)
    stored = np.rint(np.clip(np.where(unknown, 1, depth) * 100, 1, _FAR)).astype(np.uint16)  # what is near stays known
    stored[unknown] = 0
    with atomic(path) as temporary:
        Image.fromarray(stored).save(temporary, "PNG")


def _check_shape(image: np.ndarray, name: str = "") -> None:
    height, width = image.shape[:2]
    if width != 2 * height or not height:
        raise PlacesError(f"{name}{width}x{height} is no panorama: an image twice as wide as high is wanted")


def _turn(camera: Camera, heading: float) -> float:
    """Of a whole turn, how far the camera looks to the right of the panorama's middle: 0 <= turn < 1."""
    turn = (camera.heading - heading) / 360 % 1.0
    if not np.isfinite(turn):
        raise PlacesError(f"a camera's heading of {camera.heading} in a panorama's of {heading}: numbers are wanted")
    return turn


@lru_cache(maxsize=4)
def _samples(camera: Camera, width: int) -> tuple[int, int, tuple[bool, bool], np.ndarray, np.ndarray]:
    """Which points of a panorama `camera`, at heading 0, has to look at; cached, for many panoramas share them.

    shrink: how much smaller the panorama is made first: still twice as fine as the cut-out where that is finest, at its
    corners;
    side: rays a side of each pixel, so close that none leaves out a pixel of the panorama between CAP and -CAP;
    caps: whether it looks above CAP, below -CAP; x, y (side * camera.height, side * camera.width) float32: pixels of
    the shrunk panorama with a border of one pixel.
    """
    ratio = width / (2 * np.pi * camera.focal)  # panorama's pixels in one of the cut-out's, at its middle
    tangent2 = (camera.width**2 + camera.height**2) / (2 * camera.focal) ** 2  # of the angle to the corners
    shrink = max(1, int(ratio / (1 + tangent2) / 2))  # not nearer, or interpolation would blur
    edges = np.meshgrid(np.arange(camera.width + 1) - 0.5, np.arange(camera.height + 1) - 0.5)
    up = camera.rays(*edges)[..., 2]
    caps = bool(up.max() > np.sin(np.radians(CAP - 1))), bool(up.min() < -np.sin(np.radians(CAP - 1)))
    narrowest = 0.5 if any(caps) else np.sqrt(1 - np.abs(up).max() ** 2)
    side = max(1, int(np.ceil(ratio / shrink / narrowest)))

    fine = replace(camera, width=side * camera.width, height=side * camera.height)
    shrunk = 2 * (width // 2 // shrink)
    x, y = np.empty((2, fine.height, fine.width), np.float32)
    rows = max(1, _RAYS_AT_ONCE // fine.width)
    for start in range(0, fine.height, rows):
        part = slice(start, start + rows)
        grid = np.meshgrid(np.arange(fine.width), np.arange(fine.height)[part])
        x[part], y[part] = panorama_pixels(fine.rays(*grid), shrunk)
    return shrink, side, caps, x, y + 1


def _source(panorama: np.ndarray, shrink: int, caps: tuple[bool, bool]) -> np.ndarray:
    """What is sampled: weighted by alpha, shrunk, low-passed at the poles, and continued by a pixel on all sides."""
    import cv2

    if panorama.shape[2] == 4:
        panorama = panorama.astype(np.uint16) * np.concatenate(
            [np.repeat(panorama[..., 3:], 3, axis=2), np.full_like(panorama[..., 3:], 255)], axis=2
        )
    height, width = panorama.shape[0] // shrink, 2 * (panorama.shape[0] // shrink)
    if shrink > 1:
        panorama = cv2.resize(panorama, (width, height), interpolation=cv2.INTER_AREA)
    out = np.empty((height + 2, width + 2, panorama.shape[2]), panorama.dtype)
    inner = out[1:-1, 1:-1]
    inner[:] = panorama
    polar = int(height * (90 - CAP) / 180)
    if caps[0] and polar:
        inner[:polar] = _low_pass(inner[:polar], np.arange(polar), height)
    if caps[1] and polar:
        inner[-polar:] = _low_pass(inner[-polar:], np.arange(height - polar, height), height)
    out[1:-1, 0], out[1:-1, -1] = inner[:, -1], inner[:, 0]
    # beyond a pole the sphere goes on half a turn away
    for border, row in ((0, 1), (-1, -2)):
        out[border, 1:-1] = np.roll(out[row, 1:-1], width // 2, axis=0)
        out[border, 0], out[border, -1] = out[border, -2], out[border, 1]
    return out


def _low_pass(rows: np.ndarray, numbers: np.ndarray, height: int) -> np.ndarray:
    """Rows (R, W, C) of a panorama near a pole without what is finer than a row at CAP can show."""
    from scipy.fft import irfft, rfft

    width = rows.shape[1]
    columns = np.cos(np.radians(CAP)) / np.sin((numbers + 0.5) / height * np.pi)  # of this row in one of a row at CAP
    sigma = 0.5 * np.sqrt(np.maximum(columns**2 - 1, 1e-4))
    away = np.minimum(np.arange(width), width - np.arange(width))
    weights = np.exp(-0.5 * (away / sigma[:, None]) ** 2).astype(np.float32)  # a Gaussian around the row
    weights /= weights.sum(axis=1, keepdims=True)
    smooth = irfft(rfft(rows.astype(np.float32), axis=1) * rfft(weights, axis=1)[..., None], n=width, axis=1)
    return np.clip(np.rint(smooth), 0, np.iinfo(rows.dtype).max).astype(rows.dtype)


def _unweighted(seen: np.ndarray) -> np.ndarray:
    """RGBA uint8 of colours that were multiplied by alpha, and alpha by 255, in uint16."""
    alpha = seen[..., 3:].astype(np.float32)
    out = np.empty(seen.shape, np.uint8)
    out[..., :3] = np.clip(np.rint(seen[..., :3] * 255.0 / np.maximum(alpha, 1)), 0, 255)
    out[..., 3:] = np.clip(np.rint(alpha / 255), 0, 255)
    return out
