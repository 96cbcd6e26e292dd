"""Casts rays of a virtual camera through the depth map of a panorama taken elsewhere (Torii et al. 2015, section 3).

Seen from the panorama, a ray from the virtual position runs along a great circle from the direction of that position
(the pole) to the direction of the ray. So in polar coordinates around the pole (phi around it, alpha away from it) a
ray depends on one row of the depth map. A surface point at alpha and inverse distance w appears from the virtual
position, b metres towards the pole, at

    theta = atan2(sin alpha, cos alpha - b w) >= alpha,

and a ray at theta is behind the surface at alpha if theta(alpha) >= theta. Its first crossing is the first alpha at
which the running maximum of theta(alpha) reaches theta: one sorted search finds it for all rays of a position, once
for all views. What is stored is the parallax theta - alpha.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from netvlad.types import Array, BoolArray, FloatArray

JUMP = 0.05  # neighbours whose inverse depths differ by more than this share may lie on two surfaces
SLOPE = 2.0  # unless the step beside them is at least 1 / SLOPE of it: inverse depth is linear over a plane
THIN = 1.0  # metres: posts, trunks and people are no thicker than this, and rays pass behind them
WIDTHS = (3, 7, 15, 31, 63, 127)  # of windows to find thin objects in, in samples
FINEST = 1024  # least number of rows of the polar grid: even a coarse depth map is worth resampling finely


class RayCaster:
    """Finds where a panorama sees what the rays from one virtual position hit.

    depth: (H, 2H) float32 metres along each ray, NaN unknown, inf sky. heading: degrees, of the middle column.
    offset: (3,) metres east, north, up from the panorama to the virtual position. max_stretch: how many times larger
    a surface may appear from there, in any direction; rays that hit a larger one are lost.
    """

    def __init__(self, depth: Array, heading: float, offset: Array, max_stretch: float = np.inf) -> None:
        self.baseline = float(np.linalg.norm(offset))
        if self.baseline < 1e-6:  # no parallax
            return
        self._axes = _axes(np.asarray(offset, float) / self.baseline)
        n = max(FINEST, depth.shape[1])
        parallax = _first_crossing(_polar(depth, heading, self._axes, n), self.baseline)
        if np.isfinite(max_stretch):
            parallax[_stretched(parallax, max_stretch)] = np.nan
        self._parallax = np.concatenate([parallax[-1:], parallax, parallax[:1]])  # phi wraps around
        self._rough = _rough(self._parallax)

    def directions(self, rays: Array) -> FloatArray:
        """Return where the panorama sees what each ray hits first: (..., 3) float32, NaN if it does not see it.

        rays: (..., 3) unit vectors (east, north, up) from the virtual position.
        """
        rays = np.asarray(rays, np.float32)
        if self.baseline < 1e-6:
            return rays
        b, c, a = np.moveaxis(rays @ self._axes.T.astype(np.float32), -1, 0)
        away = np.hypot(b, c)
        alpha = np.arctan2(away, a)
        alpha -= self._sample(np.arctan2(c, b), alpha)
        around = np.sin(alpha) / np.maximum(away, 1e-12)
        local = np.stack([b * around, c * around, np.cos(alpha)], axis=-1)
        return np.asarray(local @ self._axes.astype(np.float32))

    def _sample(self, phi: Array, theta: Array) -> Array:
        """The parallax between samples: bilinear on one surface, that of the nearest sample between two."""
        rows, columns = self._parallax.shape
        step = np.float32(np.pi / columns)
        x = np.clip(theta / step - 0.5, 0, columns - 1)
        y = (phi / step) % (rows - 2) + 1
        parallax = remap(self._parallax, x, y)
        rough = self._rough[y.astype(np.int32), x.astype(np.int32)]
        parallax[rough] = self._parallax[np.rint(y[rough]).astype(np.int32), np.rint(x[rough]).astype(np.int32)]
        return parallax


def remap(image: Array, x: Array, y: Array) -> Array:
    """Sample an image bilinearly at x, y (...): (...) or (..., C). OpenCV needs rows shorter than 2^15."""
    n = x.size
    width = min(n, 4096)
    padded = -(-n // width) * width if n else 0
    shape = (*x.shape, *image.shape[2:])
    if not n:
        return np.empty(shape, image.dtype)
    x, y = (np.pad(np.float32(v).ravel(), (0, padded - n)).reshape(-1, width) for v in (x, y))
    samples: Array = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return samples.reshape(-1, *image.shape[2:])[:n].reshape(shape)


def _axes(pole: Array) -> Array:
    """Orthonormal (3, 3) float64: two directions across the pole, and the pole."""
    beside = np.eye(3)[np.argmin(np.abs(pole))]
    first = np.cross(pole, beside)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(pole, first), pole])


def _polar(depth: Array, heading: float, axes: Array, n: int) -> Array:
    """Inverse depth (n, n // 2 + 2) float32: rows are phi = k 2 pi / n, columns alpha = 0, (i + 1/2) 2 pi / n, pi.

    Bilinear on one surface, that of the nearest pixel between two, whose mean would be a third surface.
    """
    phi = np.arange(n, dtype=np.float32) * np.float32(2 * np.pi / n)
    alpha = _alphas(n // 2)
    around = np.stack([np.cos(phi), np.sin(phi)], axis=-1) @ axes[:2].astype(np.float32)
    east, north, up = (np.outer(around[:, i], np.sin(alpha)) + np.float32(axes[2, i]) * np.cos(alpha) for i in range(3))
    height, width = depth.shape
    turn = np.arctan2(east, north) * np.float32(1 / (2 * np.pi)) - np.float32(heading / 360 - 0.5)
    x = (turn % 1.0) * width + np.float32(0.5)  # `inverse` has one more column on either side
    y = np.float32(height / 2 - 0.5) - np.arcsin(np.clip(up, -1, 1)) * np.float32(height / np.pi)
    y = np.clip(y, 0, height - 1)

    inverse = np.concatenate([depth[:, -1:], depth, depth[:, :1]], axis=1)
    with np.errstate(divide="ignore"):
        inverse = (1 / inverse).astype(np.float32)
    cell = np.minimum(y.astype(np.int32), height - 2), np.minimum(x.astype(np.int32), width)
    broken = _cut(inverse)[cell]
    sampled = cv2.remap(np.nan_to_num(inverse, copy=False, nan=-1.0), x, y, cv2.INTER_LINEAR)
    sampled[broken] = inverse[np.rint(y[broken]).astype(np.int32), np.rint(x[broken]).astype(np.int32)]
    steep = _steep(inverse)[cell] & ~broken  # OpenCV 4 rounds to 1/32 pixel: steps that would tear the surface there
    sampled[steep] = map_coordinates(inverse, (y[steep], x[steep]), order=1)
    return np.where(sampled < 0, np.float32(np.nan), sampled)


def _alphas(n: int) -> Array:
    inner = (np.arange(n, dtype=np.float32) + np.float32(0.5)) * np.float32(np.pi / n)
    return np.concatenate([[0], inner, [np.pi]]).astype(np.float32)


def _cut(inverse: Array) -> BoolArray:
    """Cells (H - 1, W - 1) between four pixels of an inverse depth map that are not on one surface."""
    right, down = _jumps(inverse), _jumps(inverse.T).T
    return np.asarray(right[1:] | right[:-1] | down[:, 1:] | down[:, :-1])


def _steep(inverse: Array) -> BoolArray:
    """Cells (H - 1, W - 1) in which inverse depth changes by more than a quarter, as it does towards the horizon."""
    corners = _corners(inverse)
    least = np.minimum.reduce(corners)
    return np.asarray(np.maximum.reduce(corners) - least > 0.25 * least)


def _corners(samples: Array) -> tuple[Array, Array, Array, Array]:
    """The four corners of the cells (H - 1, W - 1) between samples (H, W)."""
    return samples[:-1, :-1], samples[:-1, 1:], samples[1:, :-1], samples[1:, 1:]


def _jumps(inverse: Array) -> BoolArray:
    """Whether neighbours in a row, (H, W - 1), lie on two surfaces, or one of them is unknown."""
    step = np.diff(inverse, axis=1)
    size = np.abs(step)
    slope = np.zeros_like(step)  # the larger of the steps beside this one in the same direction
    sign = np.sign(step)
    slope[:, 1:] = step[:, :-1] * sign[:, 1:]
    slope[:, :-1] = np.fmax(slope[:, :-1], step[:, 1:] * sign[:, :-1])
    larger = np.maximum(inverse[:, 1:], inverse[:, :-1])
    return np.asarray(~((size <= JUMP * larger) | (size <= SLOPE * slope)))


def _first_crossing(inverse: Array, baseline: float) -> Array:
    """Parallax (n, n // 2) float32 at theta = (j + 1/2) 2 pi / n of every row; NaN if the ray is lost.

    A ray is lost if it passes behind a surface. But thin objects are taken to be no thicker than THIN, and a ray that
    passes farther behind one continues to what the panorama sees beside it.
    """
    alpha = _alphas(inverse.shape[1] - 2)
    theta = np.arctan2(np.sin(alpha), np.cos(alpha) - np.float32(baseline) * inverse)
    theta[:, 0] = np.where(inverse[:, 0] * baseline < 1, 0, np.pi)  # pi: the position is behind a surface
    theta[:, -1] = np.pi
    theta[np.isnan(inverse)] = -1  # unknown: the samples after it decide
    apart = _jumps(inverse)
    thin = thin_objects(inverse, np.pi / (inverse.shape[1] - 2))
    wanted = alpha[1:-1]
    row = np.arange(len(theta))[:, None]

    after = _first(np.where(thin, -1, theta), wanted)
    lost, hit = _bracket(theta, alpha, apart | thin[:, 1:] | thin[:, :-1], wanted, row, after)
    if thin.any():
        i = _first(np.where(thin, theta, -1), wanted)
        in_front = i < after
        missed, touched = _bracket(theta, alpha, apart | ~thin[:, 1:] | ~thin[:, :-1], wanted, row, i)
        i = np.minimum(i, len(alpha) - 1)
        along = np.sin(wanted) / np.maximum(np.sin(wanted - alpha[i]), 1e-6)  # distance along the ray, in baselines
        behind = np.float32(baseline) * along - 1 / np.maximum(inverse[row, i], 1e-6)
        stopped = in_front & (~missed | (behind < THIN))
        lost, hit = np.where(stopped, missed, lost), np.where(stopped, touched, hit)
    return np.where(lost, np.float32(np.nan), wanted - hit)


def _first(theta: Array, wanted: Array) -> Array:
    """For each row, the first column whose theta reaches each of `wanted`; the number of columns if none does."""
    rows, columns = theta.shape
    lift = 4.0 * np.arange(rows)[:, None]  # one search for all rows: each is lifted above the row before
    reached = np.maximum.accumulate(theta, axis=1) + lift
    found = np.searchsorted(reached.ravel(), (wanted + lift).ravel()).reshape(rows, len(wanted))
    return np.asarray(found - columns * np.arange(rows)[:, None])


def _bracket(
    theta: Array, alpha: Array, apart: BoolArray, wanted: Array, row: Array, after: Array
) -> tuple[BoolArray, Array]:
    """Whether the crossing before column `after` is not through one surface, and its alpha by interpolation."""
    lost = (after == 0) | (after == len(alpha))
    after = np.clip(after, 1, len(alpha) - 1)
    before = after - 1
    low, high = theta[row, before], theta[row, after]
    share = (wanted - low) / np.maximum(high - low, np.float32(1e-9))
    return lost | apart[row, before], alpha[before] + share * (alpha[after] - alpha[before])


def _stretched(parallax: Array, limit: float) -> BoolArray:
    """Rays (n, n // 2) that hit a surface which appears more than `limit` times larger than from the panorama.

    Around the pole, a circle of radius alpha appears at theta, sin theta / sin alpha times larger; along the great
    circle of the ray, d theta / d alpha times.
    """
    step = np.float32(np.pi / parallax.shape[1])
    theta = (np.arange(parallax.shape[1], dtype=np.float32) + np.float32(0.5)) * step
    alpha = theta - parallax
    wide = np.sin(theta) > limit * np.sin(alpha)
    slow = np.diff(alpha, axis=1) < step / limit  # False for NaN and between surfaces
    along = np.pad(slow, ((0, 0), (1, 0)), mode="edge") & np.pad(slow, ((0, 0), (0, 1)), mode="edge")
    return np.asarray(wide | along)


def thin_objects(inverse: Array, step: float) -> BoolArray:
    """Samples of objects narrower than THIN along their row and THIN or more in front of their surroundings.

    inverse: (rows, columns) of inverse depths, NaN unknown, `step` radians from column to column.
    """
    near = np.nan_to_num(inverse)
    thin: BoolArray = np.zeros(near.shape, bool)
    for width in WIDTHS:
        wide = near >= width * step / THIN  # where so many samples are narrower than THIN
        if wide.any():
            around = cv2.morphologyEx(near, cv2.MORPH_OPEN, np.ones((1, width), np.uint8))
            thin |= wide & (near > around * (1 + THIN * near))
    return thin


def _rough(parallax: Array) -> BoolArray:
    """Cells whose corners see different surfaces or nothing, so that the parallax cannot be interpolated."""
    corners = _corners(parallax)
    spread = np.maximum.reduce(corners) - np.minimum.reduce(corners)
    rough: BoolArray = ~(spread <= 4 * np.pi / parallax.shape[1])  # NaN too
    return np.pad(rough, ((0, 1), (0, 1)), mode="edge")
