"""Potential positives that show what the query shows, verified by the geometry of local features.

By position alone, photos that look another way are positives too. The paper leaves the choice to the loss (section 4);
this chooses before training.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netvlad.errors import ImageError, NetvladError
from netvlad.features.local_features import best_kind, kind_of
from netvlad.features.store import FeatureStore
from netvlad.features.verification import LEAST, least_of, verify
from netvlad.places import Places
from netvlad.runtime.files import atomic
from netvlad.runtime.progress import progress
from netvlad.runtime.workers import default_workers, in_order
from netvlad.types import IntArray

SECONDS = 20.0  # a kill loses no more work than this
TOGETHER = 32  # pairs of a query in one job


@dataclass(frozen=True, eq=False)
class VerifiedPairs:
    """Pairs of rows `query` and `database`, (N,) int64, in the order of the request, and their `inliers`, (N,) int32.

    inliers: -1 where one of the two photos cannot be read. least: enough of them. how: the settings they were found
    with. unreadable: path -> reason.
    """

    query: IntArray
    database: IntArray
    inliers: NDArray[np.int32]
    least: int
    how: dict[str, Any]
    unreadable: dict[str, str]

    def __len__(self) -> int:
        return len(self.query)

    def of(self, query: int, least: int | None = None) -> IntArray:
        """Database rows (n,) with `least` inliers or more (default: self.least) for a query, most inliers first."""
        mine = np.flatnonzero(self.query == query)
        mine = mine[self.inliers[mine] >= max(1, self.least if least is None else least)]
        return np.asarray(self.database[mine[np.argsort(-self.inliers[mine], kind="stable")]])

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write a Parquet file with columns query, database, inliers, atomically."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {"query": self.query, "database": self.database, "inliers": self.inliers}
        told = {"least": self.least, "how": self.how, "unreadable": self.unreadable}
        with atomic(file) as temporary:
            pq.write_table(pa.table(columns).replace_schema_metadata({b"verified": json.dumps(told)}), temporary)

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> VerifiedPairs:
        """Read what `save` wrote. Raises NetvladError for any other file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(file, columns=["query", "database", "inliers"])
            told = json.loads(table.schema.metadata[b"verified"])
            query, database, inliers = (table[name].to_numpy() for name in ("query", "database", "inliers"))
            if not all(column.dtype.kind in "iu" for column in (query, database, inliers)):
                raise TypeError("its columns are no integers")
            return cls(query, database, inliers, told["least"], told["how"], told["unreadable"])
        except FileNotFoundError:
            raise NetvladError(f"{file}: no such file of verified pairs") from None
        except (pa.ArrowException, OSError, LookupError, TypeError, ValueError, RecursionError) as e:
            raise NetvladError(f"{file} is not a file of verified pairs ({type(e).__name__})") from e


def verified_pairs(
    database: Places,
    queries: Places,
    pairs: Iterable[tuple[int, Sequence[int]]],
    *,
    least: int | None = None,
    kind: str | None = None,
    model: str = "homography",
    most: int | None = None,
    resize: int | None = 640,
    file: str | os.PathLike[str] | None = None,
    features: str | os.PathLike[str] | None = None,
    workers: int | None = None,
) -> VerifiedPairs:
    """Count the inliers of each query with each of its database photos; `of` returns those with `least` or more.

    pairs: query row -> database rows. kind, model: as `local_features` and `verify` take them; kind is by default that
    of `file`, or xfeat where its weights are installed, else rootsift. least: by default 12 for a homography, 20 for a
    fundamental matrix. most, resize: as `FeatureStore` takes them. file: a Parquet file, written every 20 seconds;
    pairs in it are not verified again, so that the same call goes on after a kill. features: a folder for the features
    of each photo; None: a temporary one. workers: processes, 0: none; by default one for each core but at most 4.
    Raises NetvladError where `file` holds pairs of other photos or settings, or a worker dies.
    """
    earlier = VerifiedPairs.load(file) if file is not None and Path(file).exists() else None
    if kind is None:
        kind = best_kind() if earlier is None else str(earlier.how.get("kind"))
    least = max(least_of(model), LEAST[model] if least is None else least)
    most = kind_of(kind).most if most is None else most
    wanted = [(int(query), int(row)) for query, rows in pairs for row in rows]
    how = {"kind": kind, "model": model, "most": most, "resize": resize, "photos": _identity(database, queries)}
    known = {} if earlier is None else _known(earlier, how, file)
    unreadable: dict[str, str] = {}
    todo = [pair for pair in dict.fromkeys(wanted) if pair not in known]

    def result() -> VerifiedPairs:
        done = [pair for pair in dict.fromkeys([*wanted, *known]) if pair in known]
        rows = np.array(done, np.int64).reshape(-1, 2)
        inliers = np.array([known[pair] for pair in done], np.int32)
        return VerifiedPairs(rows[:, 0], rows[:, 1], inliers, least, how, unreadable)

    with tempfile.TemporaryDirectory(prefix="features-") as temporary:
        settings = _Settings(kind, most, resize, str(features or temporary))
        asked, held = sorted({q for q, _ in todo}), sorted({d for _, d in todo})
        photos = dict.fromkeys([*queries.path[asked], *database.path[held]])
        unreadable |= _find_features(settings, list(photos), default_workers(len(photos), workers))
        said = time.monotonic()
        with progress("verifying pairs", len(todo), "pairs") as advance:
            for pieces, counts in _verified(settings, model, database, queries, todo, unreadable, workers):
                known |= dict(zip(pieces, counts, strict=True))
                advance(len(pieces))
                if file is not None and time.monotonic() - said > SECONDS:
                    result().save(file)
                    said = time.monotonic()
    found = result()
    if file is not None:
        found.save(file)
    return found


def _identity(database: Places, queries: Places) -> str:
    """Hex digest of the photos of both tables."""
    digest = hashlib.blake2b(digest_size=16)
    for paths in (database.path, queries.path):
        digest.update("\0".join([*paths, "\n"]).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _known(
    earlier: VerifiedPairs, how: dict[str, Any], file: str | os.PathLike[str] | None
) -> dict[tuple[int, int], int]:
    """The pairs of an earlier call and their inliers. Raises NetvladError that names its `file` for other settings."""
    for name, value in how.items():
        if earlier.how.get(name) != value:
            raise NetvladError(
                f"{file} holds pairs verified with {name} {earlier.how.get(name)}, not {value}: choose another file, "
                "or remove this one to begin anew"
            )
    readable = earlier.inliers >= 0  # a photo that was unreadable then may be readable now
    columns = (column[readable].tolist() for column in (earlier.query, earlier.database, earlier.inliers))
    return {(q, d): n for q, d, n in zip(*columns, strict=True)}


def _find_features(settings: _Settings, photos: list[str], workers: int) -> dict[str, str]:
    """Store the features of all photos; returns path -> reason of unreadable ones."""
    unreadable: dict[str, str] = {}
    with progress("local features", len(photos)) as advance:
        for path, reason in zip(photos, in_order(partial(_find, settings), photos, workers), strict=True):
            if reason:
                unreadable[path] = reason
            advance(1)
    return unreadable


def _verified(
    settings: _Settings,
    model: str,
    database: Places,
    queries: Places,
    todo: list[tuple[int, int]],
    unreadable: dict[str, str],
    workers: int | None,
) -> Iterator[tuple[list[tuple[int, int]], list[int]]]:
    """Yield pieces of `todo`, each of one query, and the inliers of its pairs."""
    pieces: list[list[tuple[int, int]]] = []
    for _, group in groupby(todo, key=lambda pair: pair[0]):
        mine = list(group)
        pieces += [mine[i : i + TOGETHER] for i in range(0, len(mine), TOGETHER)]

    def jobs() -> Iterator[list[str | None]]:
        for piece in pieces:
            paths = [queries.path[piece[0][0]], *(database.path[row] for _, row in piece)]
            yield [None if path in unreadable else path for path in paths]

    function = partial(_count, settings, model)
    yield from zip(pieces, in_order(function, jobs(), default_workers(len(pieces), workers)), strict=True)


# -- in the worker processes ------------------------------------------------------------------------------------------


class _Settings(NamedTuple):
    kind: str
    most: int
    resize: int | None
    folder: str


@lru_cache(maxsize=1)
def _store(settings: _Settings) -> FeatureStore:
    return FeatureStore(settings.kind, most=settings.most, resize=settings.resize, folder=settings.folder)


def _find(settings: _Settings, path: str) -> str | None:
    """Find the features of a photo; returns the reason where it cannot be read."""
    try:
        _store(settings).of(path)
    except ImageError as e:
        return e.reason
    return None


def _count(settings: _Settings, model: str, paths: list[str | None]) -> list[int]:
    """Inliers of the first photo with each other one; -1 with None, an unreadable one."""
    of = _store(settings).of
    if paths[0] is None:
        return [-1] * (len(paths) - 1)
    asked = of(paths[0])
    return [-1 if path is None else len(verify(asked, of(path), model)) for path in paths[1:]]
