"""Every photo of a run under one number, so that none is decoded or kept twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Rows:
    """`paths`: the photos; `add` gives the rows of more, which are those of photos that are there already.

    Within one `add` no row occurs twice: a photo that a table names twice has two.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._row: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, paths: Sequence[str]) -> np.ndarray:
        """The rows (n,) int64 of `paths`."""
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
