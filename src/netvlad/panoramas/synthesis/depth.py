"""Depth of a panorama from a model that predicts the depth of perspective photos."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netvlad.errors import PlacesError
from netvlad.panoramas.camera import Camera, panorama_rays
from netvlad.panoramas.panorama import cut_out
from netvlad.types import Array, FloatArray

PITCHES = (-55.0, 0.0, 55.0)
HEADINGS = 8  # 45 degrees apart, so that at least two views of 90 degrees see every direction
GROUND = (-75.0, -25.0)  # range of elevation in degrees in which most pixels show the ground


def depth_from_views(
    panorama: Array,
    predict: Callable[[Array], Array],
    *,
    camera_height: float = 2.5,
    width: int = 1024,
    view_size: int = 512,
) -> FloatArray:
    """Estimate the depth of a panorama: (width // 2, width) float32 metres along each ray, NaN unknown, inf sky.

    panorama: (H, 2H, 3) uint8 RGB. predict: maps an RGB view (view_size, view_size, 3) uint8 of 90 degrees to its
    depth (view_size, view_size) along the optical axis, in any unit, which may differ from view to view; inf is sky,
    NaN and values that are not positive are unknown. Overlapping views are brought to one scale by least squares over
    the medians of their log ratios, and to metres by the height of the camera above the ground, assumed to be level.
    Raises PlacesError for an image that is no panorama, a prediction of another shape, or if no ground is seen.
    """
    cameras = [
        Camera(i * 360 / HEADINGS, pitch, 0.0, 90.0, view_size, view_size) for pitch in PITCHES for i in range(HEADINGS)
    ]
    rays = panorama_rays(width)
    logs, weights = np.empty((2, len(cameras), *rays.shape[:2]), np.float32)
    for i, camera in enumerate(cameras):
        guess = np.asarray(predict(cut_out(panorama, camera)), np.float32)
        if guess.shape != (view_size, view_size):
            raise PlacesError(f"a predicted depth has the shape {guess.shape}: ({view_size}, {view_size}) is wanted")
        logs[i], weights[i] = _projected(guess, camera, rays)
    logs -= _scales(logs)[:, None, None]
    depth = _merged(logs, weights)
    elevation = np.degrees(np.arcsin(rays[..., 2]))
    ground = (elevation > GROUND[0]) & (elevation < GROUND[1]) & np.isfinite(depth)
    if not ground.any():
        raise PlacesError("no depth was predicted for what is below the camera: without ground there is no scale")
    drop = np.median(-depth[ground] * rays[..., 2][ground])
    return np.asarray(depth * (camera_height / drop), np.float32)


def _projected(guess: Array, camera: Camera, rays: Array) -> tuple[Array, Array]:
    """Log distance along rays (H, W, 3), inf sky, NaN unknown or not seen; and weights, 0 at the borders."""
    x, y = camera.pixels(rays)
    half = (camera.width - 1) / 2
    inside = np.isfinite(x) & (np.abs(x - half) <= half) & (np.abs(y - half) <= half)
    log, weight = np.full((2, *rays.shape[:2]), np.nan, np.float32)
    column, row = np.rint(x[inside]).astype(int), np.rint(y[inside]).astype(int)
    along = rays[inside] @ camera.axes[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        log[inside] = np.log(guess[row, column] / along)  # from depth along the optical axis to distance along the ray
    log[np.isneginf(log)] = np.nan
    near = 1 - np.maximum(np.abs(x - half), np.abs(y - half)) / (half + 1)
    weight[inside] = near[inside] ** 2
    return log, weight


def _scales(logs: Array) -> FloatArray:
    """Log scale of each view (V,), 0 on average."""
    finite = np.isfinite(logs)
    rows, values = [np.ones(len(logs))], [0.0]
    for i in range(len(logs)):
        for j in range(i):
            both = finite[i] & finite[j]
            count = int(both.sum())
            if not count:
                continue
            row = np.zeros(len(logs))
            row[i], row[j] = np.sqrt(count), -np.sqrt(count)
            rows.append(row)
            values.append(np.sqrt(count) * float(np.median(logs[i][both] - logs[j][both])))
    return np.asarray(np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0], np.float32)


def _merged(logs: Array, weights: Array) -> Array:
    """The weighted mean of the logs as distance (H, W); sky or unknown where that has most of the weight."""
    finite, sky = np.isfinite(logs), np.isposinf(logs)
    weights = np.nan_to_num(weights)
    near, far = (np.where(mask, weights, 0).sum(0) for mask in (finite, sky))
    unknown = weights.sum(0) - near - far
    mean = np.where(finite, logs * weights, 0).sum(0) / np.maximum(near, 1e-9)
    depth = np.where(far > near, np.inf, np.exp(mean))
    return np.asarray(np.where(unknown > np.maximum(near, far), np.nan, depth))
