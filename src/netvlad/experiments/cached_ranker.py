"""Rankings kept on disk, so that an interrupted comparison goes on with the next method, or in memory."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from netvlad.runtime.files import atomic
from netvlad.types import Ranker, Ranking

FORMAT = 1


class CachedRanker:
    """The ranker that `make()` returns, made only when it is asked what was not asked before.

    folder: holds one file for each ranking. key: everything a ranking depends on beside the photos asked for, as JSON
    can hold it: the model's identity and `stamp` of the database. A file counts as long as the key, the queries'
    paths, sizes and time stamps, and k are the same. name, dim: of the ranker. counts: rankings so far.
    """

    def __init__(
        self,
        make: Callable[[], Ranker],
        folder: str | os.PathLike[str],
        key: Mapping[str, Any],
        name: str,
        dim: int | None = None,
    ) -> None:
        self.make, self.folder, self.key = make, Path(folder), key
        self.name, self.dim = name, dim
        self.counts = {"from disk": 0, "anew": 0}

    @cached_property
    def _ranker(self) -> Ranker:
        return self.make()

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """Read the ranking, or ask the ranker and write it."""
        file = self.folder / f"{self._digest(photos, k)}.npz"
        found = _read(file)
        self.counts["anew" if found is None else "from disk"] += 1
        if found is None:
            found = self._ranker.rank(photos, k)
            _write(file, found, self.name, self.dim)
        return found

    def _digest(self, photos: Sequence[str], k: int) -> str:
        text = json.dumps([FORMAT, self.key, stamp(photos), k], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


class MemoizedRanker:
    """`ranker`, whose rankings are kept in memory: the same queries are ranked once for two uses."""

    def __init__(self, ranker: Ranker) -> None:
        self.ranker = ranker
        self.name, self.dim = ranker.name, ranker.dim
        self._rankings: dict[tuple[int | str, ...], Ranking] = {}

    def rank(self, photos: Sequence[str], k: int) -> Ranking:
        """As the ranker."""
        asked: tuple[int | str, ...] = (k, *photos)
        if asked not in self._rankings:
            self._rankings[asked] = self.ranker.rank(photos, k)
        return self._rankings[asked]


def stamp(photos: Sequence[str]) -> str:
    """Hex digest of paths (in their order), sizes and times of change; none is opened."""
    found = hashlib.sha256()
    for path in photos:
        try:
            stat = os.stat(path)
            size, changed = stat.st_size, stat.st_mtime_ns
        except (OSError, ValueError):
            size = changed = -1
        found.update(f"{path}\0{size}\0{changed}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _write(file: Path, found: Ranking, name: str, dim: int | None) -> None:
    facts = {"name": name, "dim": dim, "seconds": dict(found.seconds), "unreadable": dict(found.unreadable)}
    with atomic(file) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, ids=found.ids, scores=found.scores, facts=np.array(json.dumps(facts)))


def _read(file: Path) -> Ranking | None:
    """What `_write` wrote; None where there is nothing, or nothing whole."""
    try:
        with np.load(file, allow_pickle=False) as held:
            facts = json.loads(str(held["facts"]))
            return Ranking(held["ids"], held["scores"], facts["seconds"], facts["unreadable"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError, BadZipFile, EOFError, zlib.error):
        return None
