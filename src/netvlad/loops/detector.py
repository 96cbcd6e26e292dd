"""Finds loops while frames come in: the nearest keyframes, made sure by the frames before, and verified by geometry."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import NetvladError
from netvlad.images import read_image
from netvlad.loops.geometry import PairGeometry
from netvlad.loops.keyframes import Keyframes, from_jpeg, scale_of, to_jpeg
from netvlad.loops.options import Loop, LoopOptions
from netvlad.loops.saving import Saved, read_saved, write_saved
from netvlad.runtime.kept_rows import KeptRows
from netvlad.sequences.evidence import DRIVE
from netvlad.sequences.hidden_markov import HiddenMarkov, Motion
from netvlad.types import Array, Describer, FloatArray, ImageLike, needs_fit

NEIGHBOURS = 3.0  # seconds around the likeliest keyframe whose probabilities count as its own


class LoopDetector:
    """Streams frames in and loops out, in bounded memory and time a frame.

    model: a describer that is ready. camera (3, 3): intrinsics in pixels of the frames, for relative poses by the
    essential matrix; without them loops are verified by a fundamental matrix and have no heading. kept: as for
    `PairGeometry`. seconds: where time went, by stage. Raises ModelError for a model that has to be fitted first.
    """

    def __init__(
        self,
        model: Describer,
        options: LoopOptions | None = None,
        *,
        camera: Array | None = None,
        kept: KeptRows | None = None,
    ) -> None:
        if needs_fit(model):
            raise NetvladError(f"{model.name} has no cluster centres yet: fit it first (netvlad.fit)")
        self.model, self.options, self.camera = model, options or LoopOptions(), camera
        self.keyframes = Keyframes(model.dim, self.options.most)
        self.seconds: dict[str, float] = {}
        self.count = 0  # of keyframes so far
        self._waiting: deque[tuple[FloatArray, bytes, float]] = deque()  # too young to be found
        self._last: FloatArray | None = None
        self._t = -math.inf
        self._geometry = PairGeometry(self.options.kind, camera, kept)
        self._scale = 1.0  # by which kept photos are smaller than frames
        self._sequence, self._other = self._begun(), self._begun()

    def add(self, image: ImageLike, t: float) -> list[Loop]:
        """Take the frame at `t` seconds, and return its loops. Raises ImageError, NetvladError for a time that falls.

        A frame that is no keyframe has none.
        """
        if not t >= self._t:
            raise NetvladError(f"frames come in order of time, got {t} s after {self._t} s")
        pixels, vector = self._described(image)
        self._t = t
        if self._last is not None and np.linalg.norm(vector - self._last) < self.options.apart:
            return []
        self._last = vector
        start = time.perf_counter()
        self._take(t - self.options.gap)
        self._spent("insert", start)
        self._scale = scale_of(pixels)
        found = self._found(pixels, vector, t, self.count)
        self._waiting.append((vector, to_jpeg(pixels), t))
        self.count += 1
        return found

    def find(self, image: ImageLike, t: float) -> list[Loop]:
        """Loops of another robot's frame with this one's keyframes, all of them; `query` is -1, and nothing is kept.

        Frames of one other robot come in order of time.
        """
        pixels, vector = self._described(image)
        self._take(math.inf)
        return self._found(pixels, vector, t, -1, self._other)

    def meet(self, other: LoopDetector) -> list[Loop]:
        """Loops of another robot's keyframes with this one's, from what both keep; `query` is one of `other`.

        Both robots' cameras are taken for alike. Raises NetvladError for a detector with another model.
        """
        if other.model.identity != self.model.identity:
            raise NetvladError("the other robot's keyframes are described by another model")
        self._take(math.inf)
        other._take(math.inf)
        found, sequence = [], self._begun()
        for part in other.keyframes.generations:
            for row, t in enumerate(part.times):
                pixels, vector = from_jpeg(part.photo(row)), part.index.reconstruct(row)
                found += self._found(pixels, vector, t, part.first + row, sequence, other._scale)
        return found

    def photo(self, number: int) -> Array | None:
        """The photo of a keyframe (H, W, 3), at most 640 pixels a side; None of one that is forgotten."""
        first = self.count - len(self._waiting)
        if number >= first:
            return from_jpeg(self._waiting[number - first][1]) if number < self.count else None
        return self.keyframes.photo(number)

    def vectors(self, step: int = 1) -> FloatArray:
        """Vectors (n, dim) of every `step`-th keyframe that is kept, oldest first, in half precision."""
        kept = [part.index.reconstruct_n(0, len(part)) for part in self.keyframes.generations if len(part)]
        rows = [*kept, *(vector[None] for vector, _, _ in self._waiting)]
        return np.concatenate(rows)[::step] if rows else np.empty((0, self.model.dim), np.float32)

    def _described(self, image: ImageLike) -> tuple[Array, FloatArray]:
        start = time.perf_counter()
        pixels = read_image(image)
        vector = self.model.describe([pixels])[0]
        self._spent("describe", start)
        return pixels, vector

    def _take(self, until: float) -> None:
        """Let keyframes up to `until` seconds be found."""
        while self._waiting and self._waiting[0][2] <= until:
            self.keyframes.append(*self._waiting.popleft())

    def _found(
        self,
        pixels: Array,
        vector: FloatArray,
        t: float,
        number: int,
        sequence: HiddenMarkov | None = None,
        scale: float | None = None,
    ) -> list[Loop]:
        """Loops of one frame. sequence: what was before it; by default this robot's own, which knows no near times."""
        start = time.perf_counter()
        until = t - self.options.gap if sequence is None else math.inf
        young = self.keyframes.younger(until)  # those that `find` and `meet` took early
        ids, scores = self.keyframes.search(vector, self.options.nearest + young)
        where = self.keyframes.times(ids)
        old = np.flatnonzero(where <= until)[: self.options.nearest]
        ids, scores, where = ids[old], scores[old], where[old]
        start = self._spent("search", start)
        estimate = (sequence or self._sequence).add(ids, scores, where, t, len(self.keyframes) - young)
        self._spent("sequence", start)
        if estimate is None or not len(estimate.ids):
            return []
        times = self.keyframes.times(estimate.ids)
        near = np.abs(times - times[0]) <= NEIGHBOURS
        score = float(estimate.probability[near].sum())
        rows = [i for i in estimate.ids[near].tolist() if i in set(ids.tolist())]
        if score < self.options.probability or not rows:
            return []
        if not self.options.verify:
            return [self._loop(rows[0], number, t, score, ids, scores)]
        return self._verified(pixels, rows[: self.options.verify], (number, t, score, ids, scores), scale)

    def _verified(
        self,
        pixels: Array,
        rows: list[int],
        about: tuple[int, float, float, Array, Array],
        scale: float | None,
    ) -> list[Loop]:
        start = time.perf_counter()
        held = ((row, jpeg) for row in rows if (jpeg := self.keyframes.jpeg(row)) is not None)
        best = self._geometry.best(pixels, held, self.options.budget, scale)
        self._spent("verify", start)
        if best is None or best[1].inliers < self.options.inliers:
            return []
        return [self._loop(best[0], *about, *best[1])]

    def _loop(self, row: int, number: int, t: float, score: float, ids: Array, scores: Array, *geometry: Any) -> Loop:
        distance = math.sqrt(max(0.0, -float(scores[ids == row][0])))
        return Loop(number, row, t, float(self.keyframes.times(np.array([row]))[0]), score, distance, *geometry)

    def _begun(self) -> HiddenMarkov:
        motion = Motion(forwards=self.options.forwards, backwards=self.options.backwards)
        return HiddenMarkov(DRIVE, motion, length=self.options.length)

    def _spent(self, stage: str, start: float) -> float:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - start
        return now

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the keyframes, to go on with `load`; replaces what was saved there. Raises NetvladError, OSError."""
        return write_saved(
            folder, Saved(self.options, self.camera, self.keyframes, self._waiting, self._t, self._scale), self.model
        )

    @classmethod
    def load(cls, folder: str | os.PathLike[str], model: Describer) -> LoopDetector:
        """Go on with what `save` wrote; what the frames before said of the next is begun anew. Raises NetvladError."""
        saved = read_saved(folder, model)
        found = cls(model, saved.options, camera=saved.camera)
        found.keyframes, found._waiting, found._t = saved.keyframes, saved.waiting, saved.t
        found._scale = saved.scale
        last = found.keyframes.generations[-1]
        found.count = last.first + len(last) + len(saved.waiting)
        return found
