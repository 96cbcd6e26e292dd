"""Which potential positives show what the query shows: each pair is held against one geometry.

Positions alone make positives of photos that look another way. The paper leaves it to the loss to choose among them
(section 4); this chooses beforehand, by local features.
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

import numpy as np

from netvlad.errors import ImageError, NetvladError
from netvlad.features.store import FeatureStore
from netvlad.features.verification import LEAST, least_of, verify
from netvlad.places import Places
from netvlad.runtime.files import atomic
from netvlad.runtime.progress import progress
from netvlad.runtime.workers import default_workers, in_order

SECONDS = 20.0  # of work lost at most when it is killed
TOGETHER = 32  # pairs of a query that are one piece of work


@dataclass(frozen=True, eq=False)
class VerifiedPairs:
    """Pairs of rows `query` and `database` (N,) int64, in the order they were asked for, and their `inliers`, int32.

    -1 inliers: one of the two photos cannot be read. `how` says how they were found; `unreadable`: path -> reason.
    """

    query: np.ndarray
    database: np.ndarray
    inliers: np.ndarray
    least: int
    how: dict
    unreadable: dict[str, str]

    def __len__(self) -> int:
        return len(self.query)

    def of(self, query: int, least: int | None = None) -> np.ndarray:
        """Database rows (n,) confirmed for a query, by `least` inliers or more (default: its own), most first."""
        mine = np.flatnonzero(self.query == query)
        mine = mine[self.inliers[mine] >= max(1, self.least if least is None else least)]
        return self.database[mine[np.argsort(-self.inliers[mine], kind="stable")]]

    def save(self, file: str | os.PathLike) -> None:
        """A Parquet file with columns query, database, inliers. The file appears whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {name: getattr(self, name) for name in ("query", "database", "inliers")}
        told = {"least": self.least, "how": self.how, "unreadable": self.unreadable}
        with atomic(file) as temporary:
            pq.write_table(pa.table(columns).replace_schema_metadata({b"verified": json.dumps(told)}), temporary)

    @classmethod
    def load(cls, file: str | os.PathLike) -> VerifiedPairs:
        """What `save` wrote. Raises NetvladError for anything else."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(file, columns=["query", "database", "inliers"])
            told = json.loads(table.schema.metadata[b"verified"])
            columns = [table[name].to_numpy() for name in table.column_names]
            return cls(*columns, told["least"], told["how"], told["unreadable"])
        except FileNotFoundError:
            raise NetvladError(f"{file}: no such file of verified pairs") from None
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as e:
            raise NetvladError(f"{file} is not a file of verified pairs ({type(e).__name__})") from e


def verified_pairs(
    database: Places,
    queries: Places,
    pairs: Iterable[tuple[int, Sequence[int]]],
    *,
    least: int | None = None,
    kind: str = "rootsift",
    model: str = "homography",
    most: int = 1000,
    resize: int | None = 640,
    file: str | os.PathLike | None = None,
    features: str | os.PathLike | None = None,
    workers: int | None = None,
) -> VerifiedPairs:
    """Count the inliers of each query with each of its database photos; `of` tells those with `least` or more.

    pairs: query row -> database rows; kind, model: as `local_features` and `verify` take them. least: default 12 for a
    homography, 20 for a fundamental matrix. file: the result is kept there (Parquet) as it grows, every 20 seconds, and
    pairs that are in it are not verified again: the same call goes on where it was killed. features: a folder to keep
    the features of each photo, found once; None: a temporary one. workers: processes, 0: none; by default one for each
    core but at most 4. Raises NetvladError where `file` holds pairs of other photos or settings, or a worker dies.
    """
    least = max(least_of(model), LEAST[model] if least is None else least)
    wanted = [(int(query), int(row)) for query, rows in pairs for row in rows]
    how = {"kind": kind, "model": model, "most": most, "resize": resize, "photos": _identity(database, queries)}
    known, unreadable = _known(file, how)
    todo = [pair for pair in dict.fromkeys(wanted) if pair not in known]

    def result() -> VerifiedPairs:
        done = [pair for pair in dict.fromkeys([*wanted, *known]) if pair in known]
        rows = np.array(done, np.int64).reshape(-1, 2)
        inliers = np.array([known[pair] for pair in done], np.int32)
        return VerifiedPairs(rows[:, 0], rows[:, 1], inliers, least, how, unreadable)

    with tempfile.TemporaryDirectory(prefix="features-") as temporary:
        settings = (kind, most, resize, str(features or temporary))
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
    """Of the two tables that rows are of."""
    digest = hashlib.blake2b(digest_size=16)
    for paths in (database.path, queries.path):
        digest.update("\0".join([*paths, "\n"]).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _known(file, how: dict) -> tuple[dict[tuple[int, int], int], dict[str, str]]:
    """Pairs and their inliers, and what could not be read, of an earlier call."""
    if file is None or not Path(file).exists():
        return {}, {}
    earlier = VerifiedPairs.load(file)
    for name, value in how.items():
        if earlier.how.get(name) != value:
            raise NetvladError(
                f"{file} holds pairs verified with {name} {earlier.how.get(name)}, not {value}: choose another file, "
                "or remove this one to begin anew"
            )
    readable = earlier.inliers >= 0  # a photo that could not be read may have come back
    columns = (column[readable].tolist() for column in (earlier.query, earlier.database, earlier.inliers))
    return {(q, d): n for q, d, n in zip(*columns, strict=True)}, {}


def _find_features(settings: tuple, photos: list[str], workers: int) -> dict[str, str]:
    """Put the features of all photos into the folder of the settings; those that cannot be read: path -> reason."""
    unreadable = {}
    with progress("local features", len(photos)) as advance:
        for path, reason in zip(photos, in_order(partial(_find, settings), photos, workers), strict=True):
            if reason:
                unreadable[path] = reason
            advance(1)
    return unreadable


def _verified(settings, model, database, queries, todo, unreadable, workers) -> Iterator[tuple[list, list[int]]]:
    """Pieces of `todo`, each of one query, and the inliers of its pairs."""
    pieces = []
    for _, mine in groupby(todo, key=lambda pair: pair[0]):
        mine = list(mine)
        pieces += [mine[i : i + TOGETHER] for i in range(0, len(mine), TOGETHER)]

    def jobs() -> Iterator[list[str | None]]:
        for piece in pieces:
            paths = [queries.path[piece[0][0]], *(database.path[row] for _, row in piece)]
            yield [None if path in unreadable else path for path in paths]

    function = partial(_count, settings, model)
    yield from zip(pieces, in_order(function, jobs(), default_workers(len(pieces), workers)), strict=True)


# -- in the worker processes ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _store(kind: str, most: int, resize: int | None, folder: str) -> FeatureStore:
    return FeatureStore(kind, most=most, resize=resize, folder=folder)


def _find(settings: tuple, path: str) -> str:
    """Why a photo has no features, "" where it has."""
    try:
        _store(*settings).of(path)
    except ImageError as e:
        return e.reason
    return ""


def _count(settings: tuple, model: str, paths: list[str | None]) -> list[int]:
    """Inliers of the first of the photos with each other one; -1 with None, which cannot be read."""
    of = _store(*settings).of
    if paths[0] is None:
        return [-1] * (len(paths) - 1)
    asked = of(paths[0])
    return [-1 if path is None else len(verify(asked, of(path), model)) for path in paths[1:]]
