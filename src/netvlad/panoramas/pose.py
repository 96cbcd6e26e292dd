"""How a panorama was held, and which part of the sphere its file shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from netvlad.errors import PlacesError
from netvlad.panoramas.camera import Camera
from netvlad.types import Array

AGREE = 0.02  # share by which the proportions of a file may differ from those that are stated


@dataclass(frozen=True)
class Pose:
    """pitch, roll: degrees of the panorama's middle, as those of a `Camera`. margins: what its file lacks on the left,
    at the top, on the right and at the bottom, as shares of the width and the height of the whole. Raises PlacesError
    for margins that leave nothing.
    """

    pitch: float = 0.0
    roll: float = 0.0
    margins: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        left, top, right, bottom = self.margins
        if not (min(self.margins) >= 0 and left + right < 1 and top + bottom < 1):
            raise PlacesError(f"margins of {self.margins} leave nothing of a panorama")

    def seen(self, camera: Camera) -> Camera:
        """The camera that sees in the tilted panorama what `camera` sees in a level one.

        Headings of both are from the panorama's middle; that of the panorama is the direction of its middle as it was
        held.
        """
        if not (self.pitch or self.roll):
            return camera
        right, up, forward = Camera(0.0, self.pitch, self.roll).axes
        across, _, ahead = camera.axes @ np.stack([right, forward, up], axis=1)  # east, north, up of the panorama
        heading, pitch = np.degrees([np.arctan2(ahead[0], ahead[1]), np.arcsin(np.clip(ahead[2], -1, 1))])
        level, above, _ = Camera(float(heading), float(pitch)).axes
        roll = np.degrees(np.arctan2(-across @ above, across @ level))
        return replace(camera, heading=float(heading) % 360, pitch=float(pitch), roll=float(roll))

    def share(self, camera: Camera) -> float:
        """The share of a view that the panorama's file shows, 0 to 1."""
        if not any(self.margins):
            return 1.0
        coarse = replace(self.seen(camera), width=32, height=max(1, round(32 * camera.height / camera.width)))
        east, north, up = np.moveaxis(coarse.rays(), -1, 0)
        x, y = np.degrees(np.arctan2(east, north)) / 360 + 0.5, 0.5 - np.degrees(np.arcsin(up)) / 180
        left, top, right, bottom = self.margins
        return float(((x >= left) & (x <= 1 - right) & (y >= top) & (y <= 1 - bottom)).mean())

    def completed(self, photo: Array) -> Array:
        """The whole panorama (H, 2H, 4), undefined where the file (h, w, 3 or 4) does not show it.

        Raises PlacesError where the file has other proportions than the margins leave.
        """
        left, top, right, bottom = self.margins
        height, width = photo.shape[:2]
        full = 2 * round(width / (1 - left - right) / 2)
        stated = full / 2 * (1 - top - bottom)
        if abs(height - stated) > AGREE * stated + 1:
            raise PlacesError(f"{width}x{height} is not what its margins leave of a panorama, {width}x{stated:.0f}")
        whole = np.zeros((full // 2, full, 4), np.uint8)
        y, x = round(top * full / 2), round(left * full)
        part = whole[y : y + height, x : x + width]
        part[..., 3] = 255
        part[..., : photo.shape[2]] = photo[: part.shape[0], : part.shape[1]]
        return whole


LEVEL = Pose()
