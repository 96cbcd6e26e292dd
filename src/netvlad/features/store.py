"""Local features of photos, computed on first use and cached: the last used in memory, all in a folder if given."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from netvlad.errors import ImageError
from netvlad.features.local_features import LocalFeatures, as_kind, kind_of, stored_features
from netvlad.images.read import decode_image
from netvlad.runtime.files import atomic
from netvlad.types import Array

FORMAT = 1
ARRAYS = ("points", "scale", "angle", "descriptors")


class FeatureStore:
    """`store.of(path)` gives the local features of a photo, as `local_features` does.

    kind, most: as for `local_features`; most is by default what is enough to match photos by this kind. resize: longest
    side in pixels that photos are scaled down to, None leaves them as they are. enlarge: double photos that stay within
    `resize` then, since small ones have too few features; points are given in pixels of the photo before.
    folder: cache of .npz files, one a photo, named after its content and these settings, for other processes and later
    runs. memory: bytes of features, of the photos last used, that are cached in memory.
    """

    def __init__(
        self,
        kind: str = "rootsift",
        *,
        most: int | None = None,
        resize: int | None = 640,
        enlarge: bool = True,
        folder: str | os.PathLike[str] | None = None,
        memory: float = 5e8,
    ) -> None:
        most = kind_of(kind).most if most is None else most
        kind_of(kind).detector(most)  # raises if this OpenCV lacks it
        self.kind, self.most, self.resize, self.enlarge = kind, most, resize, enlarge
        self.folder = None if folder is None else Path(folder)
        self.memory = memory
        self._held: OrderedDict[str, LocalFeatures] = OrderedDict()
        self._bytes = 0
        # RootSIFT is computed from SIFT on request, so that they share a file
        self._found_as = "sift" if kind == "rootsift" else kind

    def of(self, path: str) -> LocalFeatures:
        """Features of the photo at `path`. Raises ImageError if it cannot be read."""
        stored = self._held.get(path)
        if stored is None:
            stored = self._read_or_find(path)
            self._hold(path, stored)
        else:
            self._held.move_to_end(path)
        return replace(stored, kind=self.kind, descriptors=as_kind(stored.descriptors, self.kind))

    def _read_or_find(self, path: str) -> LocalFeatures:
        data = read_bytes(path)
        if self.folder is None:
            return self._find(data, path)
        file = self.folder / f"{self._name(data)}.npz"
        found = self._load(file)
        if found is None:
            found = self._find(data, path)
            with atomic(file) as temporary, open(temporary, "wb") as out:
                np.savez(out, **{name: getattr(found, name) for name in ARRAYS})
        return found

    def _name(self, data: bytes) -> str:
        how = f"{FORMAT} {self._found_as} {self.most} {self.resize} {self.enlarge}\n".encode()
        return hashlib.blake2b(how + data, digest_size=16).hexdigest()

    def _load(self, file: Path) -> LocalFeatures | None:
        """Features from a cache file; None if it is missing or damaged."""
        with suppress(Exception):  # broken archives raise nearly anything
            with np.load(file, allow_pickle=False) as arrays:
                points, scale, angle, descriptors = (arrays[name] for name in ARRAYS)
            n, dim = len(points), kind_of(self.kind).dim
            if points.shape == (n, 2) and descriptors.shape == (n, dim) and descriptors.dtype == np.uint8:
                return LocalFeatures(points, scale, angle, descriptors, self._found_as)
        return None

    def _find(self, data: bytes, path: str) -> LocalFeatures:
        image = decode_image(data, path, resize=self.resize, alpha=True)
        if not self.enlarge or self.resize is None or 2 * max(image.shape[:2]) > self.resize:
            return stored_features(image, self._found_as, self.most)
        found = stored_features(doubled(image), self._found_as, self.most)
        points = ((found.points - 0.5) / 2).astype(np.float32)
        return replace(found, points=points, scale=(found.scale / 2).astype(np.float32))

    def _hold(self, path: str, features: LocalFeatures) -> None:
        self._held[path] = features
        self._bytes += _bytes(features)
        while self._bytes > self.memory and len(self._held) > 1:
            self._bytes -= _bytes(self._held.popitem(last=False)[1])


def doubled(image: Array) -> Array:
    """Double the sides of an (H, W, C) uint8 image by cubic interpolation, of its alpha by repetition."""
    size = (2 * image.shape[1], 2 * image.shape[0])
    colours = cv2.resize(np.ascontiguousarray(image[..., :3]), size, interpolation=cv2.INTER_CUBIC)
    if image.shape[2] == 3:
        return colours
    return np.dstack([colours, cv2.resize(image[..., 3], size, interpolation=cv2.INTER_NEAREST)])


def read_bytes(path: str) -> bytes:
    """Content of a file. Raises ImageError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageError("no such file", path=path) from None
    except (OSError, ValueError) as e:  # ValueError: a path that no file can have
        reason = e.strerror if isinstance(e, OSError) else None
        raise ImageError(f"cannot be read ({reason or e})", path=path) from None


def _bytes(features: LocalFeatures) -> int:
    return sum(getattr(features, name).nbytes for name in ARRAYS)
