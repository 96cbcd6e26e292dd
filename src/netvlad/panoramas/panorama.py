"""Perspective cut-outs of equirectangular panoramas and of their depth.

A panorama is twice as wide as high and shows its `heading` in the middle. Its depth, if there is one, lies in a folder
`depth` beside the photo's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from netvlad.errors import ImageError, PlacesError
from netvlad.images.opening import open_image
from netvlad.panoramas.camera import Camera, panorama_pixels
from netvlad.runtime.files import atomic
from netvlad.types import Array, FloatArray

CAP = 60.0  # degrees of elevation: rows beyond it are sampled more than twice as densely as the equator
_RAYS_AT_ONCE = 1_000_000  # projecting these takes about 0.1 GB
_FAR = 65535  # of a depth file: sky, or farther than 655 m


def cut_out(panorama: Array, camera: Camera, heading: float = 0.0) -> Array:
    """Cut the view of `camera` out of a panorama: (camera.height, camera.width, C) uint8.

    panorama (H, 2H, C) uint8 with C = 3 (RGB) or 4 (RGB and alpha). heading: degrees, of its middle column.
    A pixel is the mean over its area where the cut-out is coarser than the panorama, so that nothing aliases, and
    interpolated linearly where it is finer. Colours are weighted by alpha: undefined pixels (alpha 0) do not bleed into
    others, and the alpha of a pixel is the share of it that is defined.
    Raises PlacesError for an image that is no panorama, and for a heading that is not finite.
    """
    return next(cut_outs(panorama, [camera], heading))


def cut_outs(panorama: Array, cameras: Iterable[Camera], heading: float = 0.0) -> Iterator[Array]:
    """`cut_out` for each of `cameras`, in order; shared steps are done once."""
    import cv2

    panorama = np.asarray(panorama)
    if panorama.dtype != np.uint8 or panorama.ndim != 3 or panorama.shape[2] not in (3, 4):
        raise PlacesError(f"a panorama is (H, W, 3) or (H, W, 4) uint8, got {panorama.shape} {panorama.dtype}")
    _check_shape(panorama)
    sources: dict[tuple[int, tuple[bool, bool]], Array] = {}
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


def cut_out_depth(depth: Array, camera: Camera, heading: float = 0.0) -> FloatArray:
    """Cut the view of `camera` out of a depth: (camera.height, camera.width) float32 metres along each pixel's ray.

    depth (H, 2H) metres, as `read_depth` returns it. heading: degrees, of its middle column. Each pixel takes the
    nearest value: a mean over an edge would invent a surface.
    Raises PlacesError for a depth of other proportions, and for a heading that is not finite.
    """
    depth = np.asarray(depth, np.float32)
    if depth.ndim != 2:
        raise PlacesError(f"the depth of a panorama is (H, W), got {depth.shape}")
    _check_shape(depth)
    _turn(camera, heading)
    height, width = depth.shape
    x, y = panorama_pixels(camera.rays(), width, heading)
    x, y = np.floor(x + 0.5).astype(int) % width, np.floor(y + 0.5).astype(int)
    return np.asarray(depth[np.clip(y, 0, height - 1), x])


def read_panorama(path: str | os.PathLike[str]) -> Array:
    """Read the photo of a panorama: (H, 2H, 3) uint8 RGB, or (H, 2H, 4) with alpha 0 or 255 if pixels are undefined.

    Raises ImageError if it cannot be decoded, PlacesError if it is not twice as wide as high.
    """
    from netvlad.images.read import read_image

    photo = read_image(path, alpha=True)
    _check_shape(photo, path)
    return photo


def depth_path(photo: str | os.PathLike[str]) -> Path:
    """The path of the depth of a panorama's photo: FOLDER/depth/NAME.png for FOLDER/panoramas/NAME.jpg."""
    photo = Path(photo)
    return photo.parent.parent / "depth" / f"{photo.stem}.png"


def read_depth(path: str | os.PathLike[str]) -> FloatArray:
    """Read metres along each pixel's ray: (H, W) float32, NaN unknown, inf sky or farther than 655 m.

    Raises ImageError for a file that is missing or no 16-bit grey PNG.
    """
    try:
        with open_image(path) as image:
            if image.mode not in ("I;16", "I;16B", "I;16L", "I"):  # "I": of 16 bits in Pillow before 11
                raise ImageError(f"depth is a 16-bit grey PNG in centimetres, this is {image.mode}", path=path)
            stored = np.asarray(image)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("no such file", path=path) from None
    except Exception as e:  # Pillow's readers raise nearly anything on broken bytes
        raise ImageError(f"is no depth that can be read ({e})", path=path) from e
    metres = stored.astype(np.float32) / np.float32(100)
    metres[stored == 0] = np.nan
    metres[stored == _FAR] = np.inf
    return metres


def write_depth(path: str | os.PathLike[str], depth: Array) -> None:
    """Write metres (H, W) as a 16-bit PNG of centimetres, whole or not at all; `read_depth` reads it back.

    NaN and 0 are unknown; what is farther than 655.34 m reads as inf. Raises PlacesError for negative metres.
    """
    from PIL import Image

    depth = np.asarray(depth, np.float64)
    if depth.ndim != 2 or not depth.size or (depth < 0).any():
        raise PlacesError(f"a depth is (H, W) metres from 0 up, got {depth.shape} from {np.nanmin(depth, initial=0):g}")
    unknown = np.isnan(depth) | (depth == 0)
    stored = np.rint(np.clip(np.where(unknown, 1, depth) * 100, 1, _FAR)).astype(np.uint16)  # 0 is unknown
    stored[unknown] = 0
    with atomic(path) as temporary:
        Image.fromarray(stored).save(temporary, "PNG")


def _check_shape(image: Array, path: str | os.PathLike[str] | None = None) -> None:
    height, width = image.shape[:2]
    if width != 2 * height or not height:
        raise PlacesError(f"{width}x{height} is no panorama, which is twice as wide as high", path=path)


def _turn(camera: Camera, heading: float) -> float:
    """The share of a whole turn by which the camera looks right of the panorama's middle, 0 <= turn < 1."""
    turn = (camera.heading - heading) / 360 % 1.0
    if not np.isfinite(turn):
        raise PlacesError(f"headings must be finite, got {camera.heading} of the camera and {heading} of the panorama")
    return turn


@lru_cache(maxsize=4)
def _samples(camera: Camera, width: int) -> tuple[int, int, tuple[bool, bool], Array, Array]:
    """The points of a panorama that `camera` samples at heading 0, cached for many panoramas.

    Returns shrink: the factor by which the panorama is scaled down first, which leaves it twice as fine as the cut-out
    at its corners, where that is finest; side: rays per side of each pixel, close enough to miss no pixel of the
    panorama between CAP and -CAP; caps: whether the camera looks above CAP, below -CAP; x, y (side * camera.height,
    side * camera.width) float32: pixels of the shrunk panorama with a border of one pixel.
    """
    ratio = width / (2 * np.pi * camera.focal)  # pixels of the panorama per pixel of the cut-out, in its middle
    tangent2 = (camera.width**2 + camera.height**2) / (2 * camera.focal) ** 2  # of the angle to the corners
    shrink = max(1, int(ratio / (1 + tangent2) / 2))  # any closer, and interpolation would blur
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


def _source(panorama: Array, shrink: int, caps: tuple[bool, bool]) -> Array:
    """The panorama to sample: weighted by alpha, shrunk, low-passed at the poles, with a border of one pixel."""
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
    # beyond a pole the sphere continues half a turn away
    for border, row in ((0, 1), (-1, -2)):
        out[border, 1:-1] = np.roll(out[row, 1:-1], width // 2, axis=0)
        out[border, 0], out[border, -1] = out[border, -2], out[border, 1]
    return out


def _low_pass(rows: Array, numbers: Array, height: int) -> Array:
    """Low-pass rows (R, W, C) near a pole to the resolution of a row at CAP. numbers (R,): their indices."""
    from scipy.fft import irfft, rfft

    width = rows.shape[1]
    # columns of each row per column of a row at CAP
    columns = np.cos(np.radians(CAP)) / np.sin((numbers + 0.5) / height * np.pi)
    sigma = 0.5 * np.sqrt(np.maximum(columns**2 - 1, 1e-4))
    away = np.minimum(np.arange(width), width - np.arange(width))
    weights = np.exp(-0.5 * (away / sigma[:, None]) ** 2).astype(np.float32)  # a Gaussian around the row
    weights /= weights.sum(axis=1, keepdims=True)
    smooth = irfft(rfft(rows.astype(np.float32), axis=1) * rfft(weights, axis=1)[..., None], n=width, axis=1)
    return np.asarray(np.clip(np.rint(smooth), 0, np.iinfo(rows.dtype).max).astype(rows.dtype))


def _unweighted(seen: Array) -> Array:
    """RGBA uint8 of uint16 colours that are multiplied by alpha, and alpha that is multiplied by 255."""
    alpha = seen[..., 3:].astype(np.float32)
    out = np.empty(seen.shape, np.uint8)
    out[..., :3] = np.clip(np.rint(seen[..., :3] * 255.0 / np.maximum(alpha, 1)), 0, 255)
    out[..., 3:] = np.clip(np.rint(alpha / 255), 0, 255)
    return out
