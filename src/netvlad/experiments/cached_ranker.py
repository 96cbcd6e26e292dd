"""A method's answers kept on disk, so that what was interrupted goes on with the next method."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from netvlad.runtime.files import atomic

FORMAT = 1


class Kept:
    """The ranker that `make()` returns, made only when it is asked what was not asked before.

    folder: holds one file for each answer. key: everything an answer depends on beside the photos asked for, as JSON
    can hold it: the model's identity and `stamp` of the database. An answer counts as long as the key, the queries'
    paths, sizes and time stamps, and the number of matches asked for are the same; any other is computed anew.
    name, dim: what is known of the ranker before it is made. counts: answers so far.
    """

    def __init__(
        self,
        make: Callable[[], object],
        folder: str | os.PathLike,
        key: dict,
        name: str,
        dim: int | None = None,
    ):
        self.make, self.folder, self.key, self.name = make, Path(folder), key, name
        self.dim = dim
        self.seconds: dict[str, float] = {}
        self.unreadable: dict[str, str] = {}
        self.counts = {"from disk": 0, "anew": 0}
        self._ranker = None

    def rank(self, photos: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """As the ranker's own `rank`."""
        file = self.folder / f"{self._digest(photos, k)}.npz"
        found = _read(file)
        self.counts["anew" if found is None else "from disk"] += 1
        if found is None:
            found = self._ask(photos, k)
            _write(file, found)
        ids, scores, facts = found
        self.dim, self.unreadable = facts["dim"], self.unreadable | facts["unreadable"]
        self.seconds |= facts["seconds"]
        return ids, scores

    def _ask(self, photos: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray, dict]:
        if self._ranker is None:
            self._ranker = self.make()
        ids, scores = self._ranker.rank(photos, k)
        facts = {
            "name": self.name,
            "dim": getattr(self._ranker, "dim", None),
            "seconds": dict(getattr(self._ranker, "seconds", None) or {}),
            "unreadable": dict(getattr(self._ranker, "unreadable", None) or {}),
        }
        return ids, scores, facts

    def _digest(self, photos: Sequence[str], k: int) -> str:
        text = json.dumps([FORMAT, self.key, stamp(photos), k], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


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


def _write(file: Path, answer: tuple[np.ndarray, np.ndarray, dict]) -> None:
    ids, scores, facts = answer
    with atomic(file) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, ids=ids, scores=scores, facts=np.array(json.dumps(facts)))


def _read(file: Path) -> tuple[np.ndarray, np.ndarray, dict] | None:
    """What `_write` wrote; None where there is nothing, or nothing whole."""
    try:
        with np.load(file, allow_pickle=False) as held:
            return held["ids"], held["scores"], json.loads(str(held["facts"]))
    except (OSError, ValueError, KeyError, BadZipFile, EOFError):
        return None
