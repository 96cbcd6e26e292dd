"""How the camera of one photo stands to that of another, from their local features and known intrinsics."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from netvlad.errors import NetvladError
from netvlad.features.local_features import LocalFeatures
from netvlad.features.verification import CONFIDENCE, ROUNDS, match
from netvlad.types import Array

FEWEST = 8  # inliers below which a pose means nothing; five determine it


@dataclass(frozen=True, eq=False)
class RelativePose:
    """inliers: matches that agree. rotation (3, 3), direction (3,), a unit vector: x_b ~ rotation @ x_a + s direction,
    of points in the cameras' axes (right, down, ahead), s > 0 unknown.
    """

    inliers: int
    rotation: Array
    direction: Array

    @property
    def heading(self) -> float:
        """Degrees clockwise from where a looks to where b looks, -180..180, in the plane of a's right and ahead."""
        return float(np.degrees(np.arctan2(self.rotation[2, 0], self.rotation[2, 2])))

    @property
    def bearing(self) -> float:
        """Degrees clockwise from where a looks to where b stands."""
        centre = -self.rotation.T @ self.direction
        return float(np.degrees(np.arctan2(centre[0], centre[2])))


def relative_pose(a: LocalFeatures, b: LocalFeatures, camera: Array, threshold: float = 2.0) -> RelativePose | None:
    """Match `a` with `b` and find the essential matrix that most agree on (MAGSAC++); None where there is none.

    camera (3, 3): intrinsics of both photos, in their pixels. threshold: pixels from the epipolar line. Matches behind
    a camera do not count. Raises NetvladError for intrinsics that are none.
    """
    camera = np.asarray(camera, np.float64)
    if camera.shape != (3, 3) or not np.isfinite(camera).all() or min(camera[0, 0], camera[1, 1]) <= 0:
        raise NetvladError(f"intrinsics are a 3x3 matrix with focal lengths in pixels, got {camera.tolist()}")
    pairs = match(a, b)
    if len(pairs) < FEWEST:
        return None
    from_a, to_b = a.points[pairs[:, 0]].astype(np.float64), b.points[pairs[:, 1]].astype(np.float64)
    try:
        found, agree = cv2.findEssentialMat(
            from_a, to_b, camera, cv2.USAC_MAGSAC, CONFIDENCE, threshold, maxIters=ROUNDS
        )
        if found is None or found.shape != (3, 3) or agree is None:
            return None
        count, rotation, direction, _ = cv2.recoverPose(found, from_a, to_b, camera, mask=agree.copy())
    except cv2.error:  # it asserts on some degenerate samples
        return None
    if count < FEWEST or not np.isfinite(rotation).all():
        return None
    return RelativePose(int(count), rotation, direction.ravel())
