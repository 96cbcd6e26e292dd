"""The photos of a run, each with one row number, so that none is decoded or cached twice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from netvlad.types import IntArray


class PhotoRows:
    """Photos by row number; paths: the photos in order of their rows.

    A photo that several tables name has one row; one that a single table names twice has two.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._row: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, paths: Iterable[str]) -> IntArray:
        """Add photos and return their rows, (n,) int64, none twice."""
        rows: list[int] = []
        taken: set[int] = set()
        for path in paths:
            row = self._row.get(path)
            if row is None or row in taken:
                row = len(self.paths)
                self.paths.append(path)
                self._row.setdefault(path, row)
            taken.add(row)
            rows.append(row)
        return np.array(rows, np.int64)
