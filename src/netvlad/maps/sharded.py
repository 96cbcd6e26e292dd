"""A map in shards, asked as one: its rows are those of the first shard, then those of the second, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import PlaceIndexError
from netvlad.maps.manifest import read_manifest
from netvlad.maps.opening import open_store
from netvlad.maps.remote import Spot, address_of, beside, fetch, shown
from netvlad.maps.roots import Root
from netvlad.maps.shard import Shard
from netvlad.maps.snapshot import Snapshot
from netvlad.maps.store import Store
from netvlad.maps.where import Spots, Where
from netvlad.places import Places
from netvlad.runtime.addresses import joined
from netvlad.search.sharded_index import ShardedIndex
from netvlad.search.vector_index import Searched, open_search
from netvlad.types import Array, BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

Searches = Sequence[Callable[[], Searched]]  # gives the search of each shard
AGAIN = "cut the map anew by `netvlad shard`"


def open_snapshot(folder: Path, root: str | None = None, searches: Searches | None = None) -> Snapshot:
    """The newest version of the map in `folder`, in one piece or in shards. Raises PlaceIndexError.

    root: the folder of its photos, where they have moved. searches: of its shards, by default those on this machine.
    """
    manifest = read_manifest(folder)
    if not manifest.shards:
        return Snapshot(folder, open_store(folder, manifest, root), manifest.radius)
    store = ShardedStore(folder, manifest.shards, manifest.dim, root)
    searches = searches or list(shard_searches(folder).values())
    return ShardedSnapshot(folder, store, manifest.radius, searches)


def shard_searches(folder: Path) -> dict[str, Callable[[], Searched]]:
    """What opens the search of each shard of the map in `folder`, by its name, on any machine that reaches the map.

    Raises PlaceIndexError for a map in one piece.
    """
    shards = read_manifest(folder).shards
    if not shards:
        raise PlaceIndexError("is in one piece: `netvlad shard` cuts it", path=shown(folder))
    place = address_of(folder) or folder.absolute()
    return {shard.name: partial(open_shard_search, place, shard) for shard in shards}


def shard_place(folder: Path, name: str) -> Spot:
    """Where a shard of the map in `folder` is: a folder, or an address."""
    address = address_of(folder)
    return folder / name if address is None else joined(address, name)


def open_shard(folder: Path, shard: Shard, root: str | None = None) -> Store:
    """The table of a shard. Raises PlaceIndexError where it is not as it was when the map was cut."""
    own = fetch(shard_place(folder, shard.name), model=False)
    store = open_store(own, read_manifest(own), root)
    if (store.map_id, store.version, len(store)) != (shard.map_id, shard.version, shard.photos):
        raise PlaceIndexError(f"was changed since it was made a part of {shown(folder)}: {AGAIN}", path=shown(own))
    return store


def open_shard_search(place: Spot, shard: Shard) -> Searched:
    """The search of a shard of the map at `place`, made where it is missing."""
    store = open_shard(fetch(place), shard)
    file = beside(store.folder, "search.faiss")
    return open_search(store, file, read_manifest(file.parent).search)


class ShardedStore(Store):
    """The tables of all shards as one, which is read and not changed. A shard is opened when its rows are asked for.

    root: the folder of the photos, where they have moved.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard], dim: int, root: str | None) -> None:
        self.folder, self.shards, self.dim = shown(folder), shards, dim
        self.first = np.cumsum([0, *(shard.photos for shard in shards)])  # row of each shard, and the end
        self._of, self._root, self._opened = folder, root, dict[int, Store]()

    def shard(self, number: int) -> Store:
        """The table of one shard."""
        if number not in self._opened:
            self._opened[number] = open_shard(self._of, self.shards[number], self._root)
        return self._opened[number]

    @property
    def root(self) -> Root:  # type: ignore[override]
        """What stored paths are relative to."""
        return self.shard(0).root

    @property
    def _table(self) -> Any:
        raise PlaceIndexError(f"is in shards, which are not changed: change the map, and {AGAIN}", path=self.folder)

    def __len__(self) -> int:
        return int(self.first[-1])

    @property
    def version(self) -> int:
        """1: it is written once."""
        return 1

    @property
    def has_sums(self) -> bool:
        """Whether rows carry checksums."""
        return True

    def is_newest(self) -> bool:
        """Whether no later version has been written: there is none."""
        return True

    def held(self, columns: Sequence[str] | None = None, rows: IntArray | None = None) -> pa.Table:
        """As `Store.held`; ids are those within each shard."""
        import pyarrow as pa

        every = pa.concat_tables([self.shard(i).held(columns) for i in range(len(self.shards))])
        return every if rows is None else every.take(rows)

    def first_path(self) -> str:
        """The path of the first row as it is stored."""
        return self.shard(0).first_path()

    def vectors(self, start: int = 0) -> Iterator[FloatArray]:
        """Blocks of vectors (n, dim) float32 from row `start` on, in order."""
        for i, (first, end) in enumerate(zip(self.first[:-1], self.first[1:], strict=True)):
            if end > start:
                yield from self.shard(i).vectors(max(0, start - int(first)))

    def places(self, rows: Array | None = None) -> Places:
        """The places of `rows`, in that order, or all."""
        if rows is None:
            return Places.concat([self.shard(i).places() for i in range(len(self.shards))])
        rows = np.asarray(rows)
        of = np.searchsorted(self.first, rows, side="right") - 1
        order = np.argsort(of, kind="stable")
        parts = [self.shard(int(i)).places(rows[of == i] - self.first[i]) for i in np.unique(of)]
        return Places.concat(parts)[np.argsort(order)] if parts else self.shard(0).places(rows)

    def fingerprint(self, rows: int) -> bytes:
        """16 bytes that tell the tables of all shards, at their versions, apart from any others."""
        import xxhash

        tables = [(shard.map_id, shard.version, shard.photos) for shard in self.shards]
        return xxhash.xxh3_128_digest(repr((tables, rows)).encode())


class ShardedSnapshot(Snapshot):
    """As `Snapshot`, of a map in shards; of a region only the shards that it reaches are opened and asked."""

    store: ShardedStore

    def __init__(self, folder: Path, store: ShardedStore, radius: float, searches: Searches) -> None:
        super().__init__(folder, store, radius)
        self._searches = searches

    @cached_property
    def searched(self) -> ShardedIndex:
        """The searches of all shards as one."""
        return ShardedIndex(self._searches, [shard.photos for shard in self.store.shards])

    def prepare(self) -> None:
        """Open all shards, so that the first who asks need not wait."""
        self.searched.open()
        _ = self.calibrated

    def mask(self, where: Where) -> BoolArray:
        """Which rows fulfil all conditions, bool (N,)."""
        found = np.zeros(len(self.store), bool)
        for i, shard in enumerate(self.store.shards):
            if shard.bounds is None or where.reaches(shard.bounds):
                found[self.store.first[i] : self.store.first[i + 1]] = where.mask(self._spots_of(i))
        return found

    def _spots_of(self, shard: int) -> Spots:
        if shard not in self._spots:
            self._spots[shard] = Spots.of(self.store.shard(shard).places())
        return self._spots[shard]

    @cached_property
    def _spots(self) -> dict[int, Spots]:
        return {}
