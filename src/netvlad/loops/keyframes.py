"""Keyframes in bounded memory: vectors in a graph that is searched in logarithmic time, photos in a file.

Two generations of at most half as many hold them. When the younger is full the older is dropped.
"""

from __future__ import annotations

import shutil
import tempfile
from array import array
from bisect import bisect_right
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from netvlad.errors import NetvladError, first_line
from netvlad.types import Array, FloatArray, IntArray

LINKS, DEPTH = 24, 96  # of the graph (HNSW, Malkov and Yashunin 2016)
LONGEST, QUALITY = 640, 90  # of kept photos: side in pixels, and JPEG


class Generation:
    """Keyframes number `first` and on. times: seconds of each."""

    def __init__(self, dim: int, first: int) -> None:
        import faiss

        self.first = first
        self.times = array("d")
        graph: Any = faiss.IndexHNSWSQ  # faiss adds constructors when it is imported
        self.index: Any = graph(dim, faiss.ScalarQuantizer.QT_fp16, LINKS)
        self.index.train(np.zeros((1, dim), np.float32))
        self.index.hnsw.efSearch = DEPTH
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the generation
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self.times)

    def append(self, vector: FloatArray, photo: bytes, t: float) -> None:
        """Take a vector (dim,), the JPEG of a photo, and its time."""
        self.index.add(vector[None])
        self._file.seek(self._ends[-1])
        self._file.write(photo)
        self._ends.append(self._ends[-1] + len(photo))
        self.times.append(t)

    def photo(self, row: int) -> bytes:
        """The JPEG of row `row` of this generation."""
        self._file.seek(self._ends[row])
        return self._file.read(self._ends[row + 1] - self._ends[row])

    def save(self, folder: Path) -> None:
        """Write vectors.faiss, photos.bin and rows.npz."""
        import faiss

        folder.mkdir(parents=True)
        faiss.write_index(self.index, str(folder / "vectors.faiss"))
        self._file.seek(0)
        with open(folder / "photos.bin", "wb") as file:
            shutil.copyfileobj(self._file, file)
        np.savez(folder / "rows.npz", first=self.first, times=self.times, ends=self._ends)

    @classmethod
    def load(cls, folder: Path, dim: int) -> Generation:
        """What `save` wrote. Raises NetvladError."""
        import faiss

        try:
            with np.load(folder / "rows.npz", allow_pickle=False) as rows:
                found = cls(dim, int(rows["first"]))
                found.times, found._ends = array("d", rows["times"]), array("q", rows["ends"])
            found.index = faiss.read_index(str(folder / "vectors.faiss"))
            found._file.write((folder / "photos.bin").read_bytes())
        except (OSError, KeyError, ValueError, RuntimeError) as e:
            raise NetvladError(f"cannot be read as keyframes ({first_line(e)})", path=folder) from e
        if not found.index.ntotal == len(found.times) == len(found._ends) - 1 or found.index.d != dim:
            raise NetvladError("holds vectors, photos and times of different numbers", path=folder)
        if found._file.tell() != found._ends[-1]:
            raise NetvladError("holds other photos than it lists", path=folder)
        return found


class Keyframes:
    """The last `most` keyframes or fewer, numbered from 0 in the order they came."""

    def __init__(self, dim: int, most: int) -> None:
        self.dim, self.most = dim, most
        self.generations = [Generation(dim, 0)]

    def __len__(self) -> int:
        return sum(map(len, self.generations))

    def append(self, vector: FloatArray, photo: bytes, t: float) -> None:
        """Take a keyframe; may forget the older half."""
        young = self.generations[-1]
        if len(young) >= max(self.most // 2, 1):
            young = Generation(self.dim, young.first + len(young))
            self.generations = [self.generations[-1], young]
        young.append(vector, photo, t)

    def search(self, vector: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
        """Numbers and negative squared distances of the k nearest or fewer, nearest first."""
        ids, scores = [], []
        for part in self.generations:
            squared, rows = part.index.search(vector[None], min(k, max(len(part), 1)))
            held = rows[0] >= 0
            ids.append(rows[0][held] + part.first)
            scores.append(-squared[0][held])
        number, score = np.concatenate(ids), np.concatenate(scores)
        order = np.argsort(-score, kind="stable")[:k]
        return number[order], score[order]

    def times(self, numbers: IntArray) -> Array:
        """Seconds of keyframes (n,); NaN of forgotten ones."""
        out = np.full(len(numbers), np.nan)
        for i, number in enumerate(numbers.tolist()):
            part = self._of(number)
            if part is not None:
                out[i] = part.times[number - part.first]
        return out

    def younger(self, t: float) -> int:
        """How many keyframes are later than `t` seconds."""
        return sum(len(part) - bisect_right(part.times, t) for part in self.generations)

    def photo(self, number: int) -> Array | None:
        """The photo (H, W, 3) uint8 RGB of a keyframe, None of a forgotten one."""
        jpeg = self.jpeg(number)
        return None if jpeg is None else from_jpeg(jpeg)

    def jpeg(self, number: int) -> bytes | None:
        """The photo of a keyframe as it is kept, None of a forgotten one."""
        part = self._of(number)
        return None if part is None else part.photo(number - part.first)

    def _of(self, number: int) -> Generation | None:
        parts = (part for part in self.generations if part.first <= number < part.first + len(part))
        return next(parts, None)


def scale_of(image: Array) -> float:
    """By how much a photo is scaled down to be kept."""
    return float(min(1.0, LONGEST / max(image.shape[:2])))


def scaled(image: Array) -> Array:
    """A photo (H, W, 3) at the size it is kept in."""
    scale = scale_of(image)
    if scale == 1:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def to_jpeg(image: Array) -> bytes:
    """A photo (H, W, 3) uint8 RGB as it is kept."""
    bgr = cv2.cvtColor(scaled(image), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def from_jpeg(data: bytes) -> Array:
    """The photo of `to_jpeg`."""
    bgr: Array | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise NetvladError("a kept photo is damaged: its JPEG cannot be decoded")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
