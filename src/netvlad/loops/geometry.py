"""Which of some keyframes agrees best with a frame, by local features and geometry."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from netvlad.features.local_features import LocalFeatures, kind_of, local_features
from netvlad.features.relative_pose import relative_pose
from netvlad.features.verification import verify
from netvlad.loops.keyframes import from_jpeg, scale_of, scaled
from netvlad.runtime.kept_rows import KeptRows, content_key
from netvlad.types import Array

REMEMBERED = 32  # photos whose local features are kept
WIDTH = 3  # numbers of an agreement


class Agreement(NamedTuple):
    """Matches that agree, and the degrees of `Loop`, None where they are not known."""

    inliers: int
    heading: float | None = None
    bearing: float | None = None


class PairGeometry:
    """Compares frames with keyframes, whose local features are found when they are wanted and then remembered.

    kind: of local features. camera (3, 3): intrinsics in pixels of the frames, or None. kept: rows of `WIDTH` float64
    in which agreements are looked up and put, so that a run that was killed need not find them again.
    """

    def __init__(self, kind: str, camera: Array | None = None, kept: KeptRows | None = None) -> None:
        self.kind, self.camera, self.kept = kind, camera, kept
        self._features: OrderedDict[int, LocalFeatures] = OrderedDict()

    def best(
        self,
        photo: Array,
        keyframes: Iterable[tuple[int, bytes]],
        budget: float | None = None,
        scale: float | None = None,
    ) -> tuple[int, Agreement] | None:
        """The number of the keyframe with most inliers, and how it agrees; None without keyframes.

        photo (H, W, 3): the frame. keyframes: numbers and JPEGs. budget: seconds after which no further one is looked
        at. scale: of a photo that was scaled down before.
        """
        start = time.perf_counter()
        found: list[tuple[int, Agreement]] = []
        small = scaled(photo)
        asked: LocalFeatures | None = None
        for number, jpeg in keyframes:
            key = content_key(jpeg, small) if self.kept is not None else b""
            agreement = self._kept(key)
            if agreement is None:
                asked = local_features(small, self.kind, kind_of(self.kind).most) if asked is None else asked
                agreement = self._compared(self._held(number, jpeg), asked, scale or scale_of(photo))
                if self.kept is not None:
                    self.kept.put(key, np.array(agreement, np.float64))  # None becomes NaN
            found.append((number, agreement))
            if budget is not None and time.perf_counter() - start >= budget:
                break
        return max(found, key=lambda one: one[1].inliers, default=None)

    def _kept(self, key: bytes) -> Agreement | None:
        row = None if self.kept is None else self.kept.get(key)
        if row is None:
            return None
        return Agreement(int(row[0]), *(None if np.isnan(x) else float(x) for x in row[1:]))

    def _compared(self, held: LocalFeatures, asked: LocalFeatures, scale: float) -> Agreement:
        if self.camera is None:
            return Agreement(len(verify(held, asked, "fundamental")))
        pose = relative_pose(held, asked, np.diag([scale, scale, 1.0]) @ self.camera)
        return Agreement(0) if pose is None else Agreement(pose.inliers, pose.heading, pose.bearing)

    def _held(self, number: int, jpeg: bytes) -> LocalFeatures:
        if number not in self._features:
            self._features[number] = local_features(from_jpeg(jpeg), self.kind, kind_of(self.kind).most)
        self._features.move_to_end(number)
        while len(self._features) > REMEMBERED:
            self._features.popitem(last=False)
        return self._features[number]
