"""A describer that describes no photo twice, even where the run that did so before was killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netvlad.images.read import read_image
from netvlad.runtime.kept_rows import KeptRows, content_key
from netvlad.types import Describer, FloatArray, ImageLike, Method


class KeptDescriber:
    """What `model` says of photos, kept in `file` by what they show. Raises OSError."""

    def __init__(self, model: Describer, file: Path) -> None:
        self.model, self.rows = model, KeptRows(file, model.identity, model.dim)
        self.name: str = model.name
        self.dim: int = model.dim
        self.resize: int | None = model.resize
        self.smallest: int = model.smallest
        self.takes_masks: bool = model.takes_masks
        self.identity: str = model.identity
        self.method: Method | None = model.method

    def describe(self, images: Sequence[ImageLike]) -> FloatArray:
        """As `Describer.describe`, (N, dim) float32, one photo at a time."""
        out = np.empty((len(images), self.dim), np.float32)
        for row, image in zip(out, images, strict=True):
            pixels = read_image(image)
            key = content_key(pixels)
            kept = self.rows.get(key)
            if kept is None:
                kept = self.model.describe([pixels])[0]
                self.rows.put(key, kept)
            row[:] = kept
        return out
