"""Reads photos: decoded, upright, RGB, with a clear error for anything else."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from netvlad.errors import ImageError, first_line
from netvlad.images.opening import MAX_PIXELS, check_pixels, open_image
from netvlad.types import Array, BoolArray, ImageLike

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    Pixels = NDArray[np.uint8]
    Encoded = str | os.PathLike[str] | bytes | Image.Image  # every ImageLike but an array

# the last two need pillow-heif, but leaving such photos out silently would be worse
_SUFFIXES = ".jpg .jpeg .jpe .mpo .png .webp .tif .tiff .bmp .gif .avif .heic .heif"
PHOTO_SUFFIXES = tuple(_SUFFIXES.split())


def read_image(
    source: ImageLike, *, resize: int | None = None, max_pixels: int = MAX_PIXELS, alpha: bool = False
) -> Pixels:
    """Read a photo.

    source: a path, the bytes of a file, a Pillow image, or an array (HxW or HxWx3, uint8), which is only checked.
    resize: longest side in pixels to scale down to, keeping the aspect ratio; never scales up. None: keep the size.
    alpha: report undefined pixels, those whose alpha is below 128. A photo that has any is returned as (H, W, 4),
    alpha 0 or 255; an undefined pixel has the colour of the nearest defined one (grey if there is none), so that
    filters that reach over the edge of a hole are disturbed least. A pixel scaled down is defined only if all of it
    was. An array may be HxWx4 then.
    Returns (H, W, 3) uint8 RGB, upright according to EXIF; the first frame of an animation; transparent parts over
    white; the upper 8 bits of 16-bit values.
    Raises ImageError for a missing, truncated or foreign file, above `max_pixels`, and for what would take very long to
    decode (`images.opening` has the limits).
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, resize, alpha)
    return _decode(source, _path(source), resize, max_pixels, alpha)


def decode_image(
    data: bytes, path: str | os.PathLike[str], *, resize: int | None = None, alpha: bool = False
) -> Pixels:
    """Decode the content of the file at `path`, as `read_image` does. Raises ImageError with that path."""
    return _decode(data, path, resize, MAX_PIXELS, alpha)


def fit_size(width: int, height: int, longest: int | None) -> tuple[int, int]:
    """Return the size (width, height) of an image whose longest side is scaled down to `longest` pixels."""
    if longest is None or max(width, height) <= longest:
        return width, height
    scale = longest / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _decode(
    source: Encoded, path: str | os.PathLike[str] | None, resize: int | None, max_pixels: int, alpha: bool
) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images; max_pixels decides
            return _pixels(source, resize, max_pixels, alpha)
    except Exception as e:  # Pillow's readers raise nearly anything on broken bytes
        reason = e.reason if isinstance(e, ImageError) else _reason(e, source)
        if path is None:
            reason = f"image of {len(source)} bytes: {reason}" if isinstance(source, bytes) else f"image: {reason}"
        raise ImageError(reason, path=path) from e


def _pixels(source: Encoded, resize: int | None, max_pixels: int, alpha: bool) -> Pixels:
    from PIL import Image

    given = isinstance(source, Image.Image)
    image = source if isinstance(source, Image.Image) else open_image(source)
    width, height = image.size
    check_pixels(width, height, max_pixels)
    # it would shrink the caller's own image, and take the thumbnail inside a HEIC for the photo
    if resize is not None and not given and image.format != "HEIF":
        # a JPEG can be decoded at a half, a quarter, an eighth: twice the wanted size loses nothing visible
        w, h = fit_size(width, height, resize)
        image.draft(None, (2 * w, 2 * h))
    image.load()
    image = _upright(image)
    rgba = _rgba(image)
    if rgba is None:
        return _resized(np.asarray(_rgb(image)), resize)
    return _transparent(rgba, resize, alpha)


def _upright(image: Image.Image) -> Image.Image:
    # Pillow's exif_transpose also writes the EXIF anew, which fails if any other tag of it is broken
    from PIL.Image import Transpose as T

    turns = (T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM, T.TRANSPOSE, T.ROTATE_270, T.TRANSVERSE, T.ROTATE_90)
    try:
        turn = dict(enumerate(turns, 2)).get(image.getexif().get(0x0112, 1))
    except Exception:  # unreadable EXIF gives no orientation; the pixels are still good
        return image
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode == "RGB":
        return image
    if _is_deep(image):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "LAB":  # Pillow converts Lab only through its colour management
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        return cast(Image.Image, converted)  # None only for a conversion in place
    return image.convert("RGB")


def _rgba(image: Image.Image) -> Image.Image | None:
    """The photo with its alpha channel; None if it has no transparency."""
    if image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return image.convert("RGBA") if transparent and not _is_deep(image) else None


def _is_deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _transparent(rgba: Image.Image, resize: int | None, alpha: bool) -> Pixels:
    """The photo over white, (H, W, 3); with `alpha`, and if any pixel is undefined, (H, W, 4)."""
    from PIL import Image

    rgb = np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))
    undefined = np.asarray(rgba)[..., 3] < 128
    if not alpha or not undefined.any():
        return _resized(rgb, resize)
    size = fit_size(*rgba.size, resize)
    if size != rgba.size:
        import cv2

        # filled before scaling, so that no colour under the mask is mixed in, and again after it
        rgb = _resized(_filled(rgb, undefined), resize)
        undefined = cv2.resize(undefined.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    return np.dstack([_filled(rgb, undefined), np.where(undefined, np.uint8(0), np.uint8(255))])


def _filled(rgb: Pixels, undefined: BoolArray) -> Pixels:
    """Give undefined pixels the colour of the nearest defined one; all are grey if there is none."""
    import cv2

    if undefined.all():
        return np.full_like(rgb, 128)
    _, label = cv2.distanceTransformWithLabels(
        undefined.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label, holes, defined = label.ravel(), np.flatnonzero(undefined), np.flatnonzero(~undefined)
    where = np.empty(len(defined) + 1, dtype=np.int64)  # labels count from 1, one for each defined pixel
    where[label[defined]] = defined
    pixels = rgb.reshape(-1, 3).copy()
    pixels[holes] = pixels[where[label[holes]]]
    return pixels.reshape(rgb.shape)


def _eight_bits(values: Array) -> Pixels:
    """Keep the upper 8 bits of 16-bit integers; floats are 0..1, or 0..255 if any exceeds 1."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ImageError("holds NaN or infinite pixels")
        top = 1.0 if values.max(initial=0) <= 1 else 255.0
        return np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise ImageError("32-bit integer pixels beyond 0..65535 have no defined brightness")
    return (values.astype(np.uint32) >> 8).astype(np.uint8)


def _from_array(array: Array, resize: int | None, alpha: bool) -> Pixels:
    if array.dtype == np.uint8 and array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    bands = (3, 4) if alpha else (3,)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in bands or array.size == 0:
        kinds = "HxWx4, HxWx3" if alpha else "HxWx3"
        raise ImageError(f"an image array must be {kinds} or HxW uint8 RGB, got {array.shape} {array.dtype}")
    if array.shape[2] == 4:
        from PIL import Image

        return _transparent(Image.fromarray(array), resize, alpha)
    return _resized(array, resize)


def _resized(array: Pixels, resize: int | None) -> Pixels:
    from PIL import Image

    height, width = array.shape[:2]
    size = fit_size(width, height, resize)
    if size == (width, height):
        return array
    return np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BICUBIC))


def _path(source: Encoded) -> str | os.PathLike[str] | None:
    """The file of a photo; None for bytes and for images that were made in memory."""
    from PIL.ImageFile import ImageFile

    if isinstance(source, ImageFile):
        return os.fsdecode(source.filename) or None
    return source if isinstance(source, (str, os.PathLike)) else None


def _reason(error: Exception, source: Encoded) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a photo"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    if _is_empty(source):
        return "is empty (0 bytes)"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image in a format Pillow can read"
    if isinstance(error, Image.DecompressionBombError):
        return f"has more pixels than Pillow allows ({error})"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    return f"cannot be decoded ({first_line(error)})"


def _is_empty(source: Encoded) -> bool:
    if isinstance(source, bytes):
        return not source
    try:
        return isinstance(source, (str, os.PathLike)) and Path(source).stat().st_size == 0
    except (OSError, ValueError):  # ValueError: a null character in the path
        return False
