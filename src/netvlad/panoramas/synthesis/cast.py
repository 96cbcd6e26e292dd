"""Rays of a virtual camera, cast through the depth map of a panorama that stands elsewhere (Torii et al. 2015, 3).

A ray from the virtual position runs, as the panorama sees it, along a great circle from the direction of that
position (the pole) to the ray's own direction. So in polar coordinates around that pole (phi around it, alpha away
from it) all that matters to a ray is one row of the depth map. A surface point seen at alpha, at inverse distance w,
is seen from the virtual position, b metres towards the pole, at

    theta = atan2(sin alpha, cos alpha - b w) >= alpha,

and a ray at theta is behind the surface at alpha just where theta(alpha) >= theta. Its first crossing is the first
alpha at which the running maximum of theta(alpha) reaches theta: one sorted search finds it for every ray of a
position, once for all views. theta - alpha is the parallax; it is what is kept.
"""

from __future__ import annotations

import numpy as np

JUMP = 0.05  # neighbours whose inverse depths differ by this share of the larger may be two surfaces
SLOPE = 2.0  # but not where the inverse depth goes on like this beside them: it is linear over a plane
THIN = 1.0  # metres: posts, backbones, people are no thicker than this, and rays go past behind them
WIDTHS = (3, 7, 15, 31, 63, 127)  # in samples, of windows in which a thin thing is looked for
FINEST = 1024  # rows of the polar grid at least: a coarse depth map of planes is worth resampling finely


class Cast:
    """Which way a panorama sees what a virtual camera sees, for one virtual position.

    depth: (H, 2H) float32 metres along each ray, NaN unknown, inf sky. heading: degrees, of the middle column.
    offset: (3,) metres east, north, up from the panorama to the virtual position. max_stretch: how many times larger
    something may look from there, in any direction; what looks larger still is not seen.
    """

    def __init__(self, depth: np.ndarray, heading: float, offset: np.ndarray, max_stretch: float = np.inf) -> None:
        self.baseline = float(np.linalg.norm(offset))
        if self.baseline < 1e-6:  # no parallax: every ray sees what the panorama sees there
            return
        self._axes = _axes(np.asarray(offset, float) / self.baseline)
        n = max(FINEST, depth.shape[1])
        parallax = _first_crossing(_polar(depth, heading, self._axes, n), self.baseline)
        if np.isfinite(max_stretch):
            parallax[_stretched(parallax, max_stretch)] = np.nan
        self._parallax = np.concatenate([parallax[-1:], parallax, parallax[:1]])  # phi goes round
        self._rough = _rough(self._parallax)

    def directions(self, rays: np.ndarray) -> np.ndarray:
        """Where the panorama sees what each ray meets first: (..., 3) float32; NaN where it does not see it.

        rays: (..., 3) unit vectors (east, north, up) from the virtual position.
        """
        rays = np.asarray(rays, np.float32)
        if self.baseline < 1e-6:
            return rays
        b, c, a = np.moveaxis(rays @ self._axes.T.astype(np.float32), -1, 0)
        away = np.hypot(b, c)
        alpha = np.arctan2(away, a)
        alpha -= self._look_up(np.arctan2(c, b), alpha)
        around = np.sin(alpha) / np.maximum(away, 1e-12)
        return np.stack([b * around, c * around, np.cos(alpha)], axis=-1) @ self._axes.astype(np.float32)

    def _look_up(self, phi: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """The parallax between the grid's samples: bilinear on one surface, the nearest sample's between two."""
        rows, columns = self._parallax.shape
        step = np.float32(np.pi / columns)
        x = np.clip(theta / step - 0.5, 0, columns - 1)
        y = (phi / step) % (rows - 2) + 1
        parallax = remap(self._parallax, x, y)
        rough = self._rough[y.astype(np.int32), x.astype(np.int32)]
        parallax[rough] = self._parallax[np.rint(y[rough]).astype(np.int32), np.rint(x[rough]).astype(np.int32)]
        return parallax


def remap(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of an image at x, y (...): (...) or (..., C). OpenCV wants them in rows below 2^15."""
    import cv2

    n = x.size
    width = min(n, 4096)
    padded = -(-n // width) * width if n else 0
    shape = (*x.shape, *image.shape[2:])
    if not n:
        return np.empty(shape, image.dtype)
    x, y = (np.pad(np.float32(v).ravel(), (0, padded - n)).reshape(-1, width) for v in (x, y))
    samples = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return samples.reshape(-1, *image.shape[2:])[:n].reshape(shape)


def _axes(pole: np.ndarray) -> np.ndarray:
    """(3, 3) float64: two directions square to the pole, and the pole."""
    beside = np.eye(3)[np.argmin(np.abs(pole))]
    first = np.cross(pole, beside)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(pole, first), pole])


def _polar(depth: np.ndarray, heading: float, axes: np.ndarray, n: int) -> np.ndarray:
    """Inverse depth (n, n // 2 + 2) float32: rows are phi = k 2 pi / n, columns alpha = 0, (i + 1/2) 2 pi / n, pi.

    Interpolated on one surface, the nearest pixel's between two: a mean of both would be a third.
    """
    import cv2

    phi = np.arange(n, dtype=np.float32) * np.float32(2 * np.pi / n)
    alpha = _alphas(n // 2)
    around = np.stack([np.cos(phi), np.sin(phi)], axis=-1) @ axes[:2].astype(np.float32)
    east, north, up = (np.outer(around[:, i], np.sin(alpha)) + np.float32(axes[2, i]) * np.cos(alpha) for i in range(3))
    height, width = depth.shape
    turn = np.arctan2(east, north) * np.float32(1 / (2 * np.pi)) - np.float32(heading / 360 - 0.5)
    x = (turn % 1.0) * width + np.float32(0.5)  # of the map below, which has a column more on either side
    y = np.float32(height / 2 - 0.5) - np.arcsin(np.clip(up, -1, 1)) * np.float32(height / np.pi)
    y = np.clip(y, 0, height - 1)

    inverse = np.concatenate([depth[:, -1:], depth, depth[:, :1]], axis=1)
    with np.errstate(divide="ignore"):
        inverse = (1 / inverse).astype(np.float32)
    cut = _cut(inverse)
    broken = cut[np.minimum(y.astype(np.int32), height - 2), np.minimum(x.astype(np.int32), width)]
    sampled = cv2.remap(np.nan_to_num(inverse, copy=False, nan=-1.0), x, y, cv2.INTER_LINEAR)
    sampled[broken] = inverse[np.rint(y[broken]).astype(np.int32), np.rint(x[broken]).astype(np.int32)]
    return np.where(sampled < 0, np.float32(np.nan), sampled)


def _alphas(n: int) -> np.ndarray:
    inner = (np.arange(n, dtype=np.float32) + np.float32(0.5)) * np.float32(np.pi / n)
    return np.concatenate([[0], inner, [np.pi]]).astype(np.float32)


def _cut(inverse: np.ndarray) -> np.ndarray:
    """Cells (H - 1, W - 1) between four pixels of an inverse depth map that are not of one surface."""
    right, down = _jumps(inverse), _jumps(inverse.T).T
    return right[1:] | right[:-1] | down[:, 1:] | down[:, :-1]


def _jumps(inverse: np.ndarray) -> np.ndarray:
    """Where neighbours in a row (H, W - 1) belong to two surfaces, or one of them is unknown."""
    step = np.diff(inverse, axis=1)
    size = np.abs(step)
    slope = np.zeros_like(step)  # the larger step beside this one that goes the same way
    sign = np.sign(step)
    slope[:, 1:] = step[:, :-1] * sign[:, 1:]
    slope[:, :-1] = np.fmax(slope[:, :-1], step[:, 1:] * sign[:, :-1])
    larger = np.maximum(inverse[:, 1:], inverse[:, :-1])
    return ~((size <= JUMP * larger) | (size <= SLOPE * slope))


def _first_crossing(inverse: np.ndarray, baseline: float) -> np.ndarray:
    """Parallax (n, n // 2) float32 at theta = (j + 1/2) 2 pi / n of every row; NaN where the ray is lost.

    Lost are rays that pass behind something; but something thin is taken to be no thicker than THIN, and a ray that
    passes farther behind it goes on to what the panorama sees beside it.
    """
    alpha = _alphas(inverse.shape[1] - 2)
    theta = np.arctan2(np.sin(alpha), np.cos(alpha) - np.float32(baseline) * inverse)
    theta[:, 0] = np.where(inverse[:, 0] * baseline < 1, 0, np.pi)  # pi: the position is behind a surface
    theta[:, -1] = np.pi
    theta[np.isnan(inverse)] = -1  # looked through: what comes after it decides
    apart = _jumps(inverse)
    thin = thin_things(inverse, np.pi / (inverse.shape[1] - 2))
    wanted = alpha[1:-1]
    row = np.arange(len(theta))[:, None]

    after = _first(np.where(thin, -1, theta), wanted)
    lost, hit = _bracket(theta, alpha, apart | thin[:, 1:] | thin[:, :-1], wanted, row, after)
    if thin.any():
        i = _first(np.where(thin, theta, -1), wanted)
        in_front = i < after
        missed, touched = _bracket(theta, alpha, apart | ~thin[:, 1:] | ~thin[:, :-1], wanted, row, i)
        i = np.minimum(i, len(alpha) - 1)
        along = np.sin(wanted) / np.maximum(np.sin(wanted - alpha[i]), 1e-6)  # the ray's distance, in baselines
        behind = np.float32(baseline) * along - 1 / np.maximum(inverse[row, i], 1e-6)
        stopped = in_front & (~missed | (behind < THIN))
        lost, hit = np.where(stopped, missed, lost), np.where(stopped, touched, hit)
    return np.where(lost, np.float32(np.nan), wanted - hit)


def _first(theta: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each row, the first column whose theta reaches each of `wanted`; the number of columns if none does."""
    rows, columns = theta.shape
    lift = 4.0 * np.arange(rows)[:, None]  # one search for all rows: each lies above the row before
    reached = np.maximum.accumulate(theta, axis=1) + lift
    found = np.searchsorted(reached.ravel(), (wanted + lift).ravel()).reshape(rows, len(wanted))
    return found - columns * np.arange(rows)[:, None]


def _bracket(theta, alpha, apart, wanted, row, after) -> tuple[np.ndarray, np.ndarray]:
    """Where the crossing before column `after` is not through one surface; and its alpha."""
    lost = (after == 0) | (after == len(alpha))
    after = np.clip(after, 1, len(alpha) - 1)
    before = after - 1
    low, high = theta[row, before], theta[row, after]
    share = (wanted - low) / np.maximum(high - low, np.float32(1e-9))
    return lost | apart[row, before], alpha[before] + share * (alpha[after] - alpha[before])


def _stretched(parallax: np.ndarray, limit: float) -> np.ndarray:
    """Rays (n, n // 2) bool that meet something which looks more than `limit` times larger than to the panorama.

    Around the pole a circle of radius alpha is seen at theta: sin theta / sin alpha times larger; along the ray's own
    great circle d theta / d alpha times.
    """
    step = np.float32(np.pi / parallax.shape[1])
    theta = (np.arange(parallax.shape[1], dtype=np.float32) + np.float32(0.5)) * step
    alpha = theta - parallax
    wide = np.sin(theta) > limit * np.sin(alpha)
    slow = np.diff(alpha, axis=1) < step / limit  # NaN, and from one surface to the next, is not
    return wide | (np.pad(slow, ((0, 0), (1, 0)), mode="edge") & np.pad(slow, ((0, 0), (0, 1)), mode="edge"))


def thin_things(inverse: np.ndarray, step: float) -> np.ndarray:
    """Samples of what is narrower than THIN along its row, and stands THIN or more in front of what is around it.

    inverse: (rows, columns) of inverse depths, NaN unknown, `step` radians from column to column. bool, as `inverse`.
    """
    import cv2

    near = np.nan_to_num(inverse)
    thin = np.zeros(near.shape, bool)
    for width in WIDTHS:
        wide = near >= width * step / THIN  # here so many samples are less than THIN
        if wide.any():
            around = cv2.morphologyEx(near, cv2.MORPH_OPEN, np.ones((1, width), np.uint8))
            thin |= wide & (near > around * (1 + THIN * near))
    return thin


def _rough(parallax: np.ndarray) -> np.ndarray:
    """Cells whose corners see different surfaces, or nothing: there is nothing to interpolate between."""
    corners = parallax[:-1, :-1], parallax[:-1, 1:], parallax[1:, :-1], parallax[1:, 1:]
    low, high = (np.maximum.reduce, np.minimum.reduce)
    spread = low(corners) - high(corners)
    rough = ~(spread <= 4 * np.pi / parallax.shape[1])  # NaN too
    return np.pad(rough, ((0, 1), (0, 1)), mode="edge")
