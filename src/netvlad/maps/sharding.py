"""Cutting a map into shards: regions of about equally many photos, each a map by itself, that are asked as one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.maps.calibration_file import write_calibration
from netvlad.maps.credits import FILE as CREDITS
from netvlad.maps.index import PlaceIndex
from netvlad.maps.manifest import Manifest, new_manifest, read_manifest, write_manifest
from netvlad.maps.remote import CALIBRATION, MANIFEST, MODEL, fetch, publish, read_small, remove, shown
from netvlad.maps.roots import relative_to_map
from netvlad.maps.rows import compare, half, vector_sums
from netvlad.maps.shard import Shard, bounds_of, regions
from netvlad.maps.sharded import ShardedStore, open_shard, open_shard_search, shard_place
from netvlad.maps.store import BLOCK_BYTES, Store
from netvlad.runtime.addresses import absolute, is_address, joined, listed
from netvlad.runtime.counted import counted
from netvlad.runtime.files import write_text
from netvlad.runtime.progress import progress
from netvlad.search.compressed_build import trained
from netvlad.search.options import SearchOptions
from netvlad.search.trained_codes import TRAINED, read_trained, write_trained
from netvlad.types import FloatArray, IntArray

FEWEST = 2
CUTTING = "cutting.json"  # beside the shards, until all of them are written


def write_shards(index: PlaceIndex, out: str | os.PathLike[str], shards: int) -> None:
    """Cut a map into `shards` regions, which are written to a folder or an address, with one manifest over them.

    Rows are copied as they are. Where search is compressed, all shards share a rotation, centres and codebooks, learnt
    from a sample of the whole map. After Ctrl-C or a kill the same call goes on behind the last shard that is whole.
    Raises NetvladError for a number of shards that makes no sense, PlaceIndexError where anything else is at `out`.
    """
    store = index.store
    if not FEWEST <= shards <= len(store):
        photos = counted(len(store), "photo")
        raise NetvladError(f"a map of {photos} is cut into {FEWEST} to {len(store)} shards, not {shards}")
    if not store.has_sums or not store.has_sources:
        raise PlaceIndexError("is of an older version: run `netvlad index` on it once", path=shown(index.folder))
    options = read_manifest(index.folder).search
    begun = {"map": store.map_id, "rows": store.fingerprint(len(store)).hex(), "shards": shards} | asdict(options)
    written, places = _written(out, begun), store.places()
    folder = fetch(out)
    codes, kind = None, "exact"
    if options.compresses(len(store), store.dim):
        kind = "compressed"
        codes = _known_codes(folder, written, store.dim) or _trained(store, options)
    search = SearchOptions(kind, options.recall)  # what fits into the memory is chosen for all by the codes
    done = sum(shard.photos for shard in written)
    _note(folder, begun, written)
    with progress("cutting", len(store), done=done) as advance:
        for number, rows in enumerate(regions(places, shards)):
            if number < len(written):
                continue
            name = f"shard-{number}.vpr"
            remove(shard_place(folder, name))  # what was begun
            made = _new_shard(index, joined(absolute(out), name), search, codes)
            for part in _batches(rows, store.dim):
                made.put(store.taken(part))
                advance(len(part))
            made.merge()
            made.reopen()
            written.append(Shard(name, made.map_id, made.version, len(rows), bounds_of(places[rows])))
            _note(folder, begun, written)
    _write_whole(index, folder, replace(new_manifest(index.model, index.radius), search=search), written)
    remove(shard_place(folder, CUTTING))


def _written(out: str | os.PathLike[str], begun: dict[str, Any]) -> list[Shard]:
    """The shards that an interrupted cut has written. Raises PlaceIndexError where anything else is at `out`."""
    there = listed(out) if isinstance(out, str) and is_address(out) else os.path.lexists(out) and os.listdir(out)
    if not there:
        return []
    folder = fetch(out)
    try:
        noted = json.loads(read_small(folder, CUTTING) or b"{}")
        if read_small(folder, MANIFEST) is None and noted.get("of") == begun:
            written = [Shard.from_dict(shard) for shard in noted["written"]]
            for shard in written:
                open_shard(folder, shard)
            return written
    except (ValueError, AttributeError, KeyError, TypeError):  # no note of ours
        pass
    raise PlaceIndexError("is there already: remove it, or choose another name", path=out)


def _note(folder: Path, begun: dict[str, Any], written: Sequence[Shard]) -> None:
    """Write down what is being cut, and the shards that are whole."""
    write_text(folder / CUTTING, json.dumps({"of": begun, "written": [shard.to_dict() for shard in written]}))
    publish(folder, CUTTING)


def _known_codes(folder: Path, written: Sequence[Shard], dim: int) -> Any:
    """The codes of the first shard, None where there is none."""
    if not written:
        return None
    return read_trained(fetch(shard_place(folder, written[0].name), model=False) / TRAINED, dim)


def _new_shard(index: PlaceIndex, place: str, search: SearchOptions, codes: Any) -> Store:
    """An empty map like another, and its table."""
    folder = PlaceIndex.create(place, index.model, radius=index.radius).folder
    root = index.store.root.folder
    beside = relative_to_map(root, folder) if root else ""
    write_manifest(folder, replace(read_manifest(folder), search=search, root=root, root_from_map=beside))
    if codes is not None:
        write_trained(folder / TRAINED, codes)
        publish(folder, TRAINED)
    _copy_credits(index.folder, folder)
    return PlaceIndex.open(place, index.model).store


def _write_whole(index: PlaceIndex, folder: Path, manifest: Manifest, shards: Sequence[Shard]) -> None:
    """Write what makes a map of shards; the manifest last. Searches are made now where they are on this disk."""
    manifest = replace(manifest, shards=tuple(shards))
    shutil.copytree(index.folder / MODEL, folder / MODEL, dirs_exist_ok=True)
    publish(folder, MODEL)
    _copy_credits(index.folder, folder)
    store = ShardedStore(folder, shards, manifest.dim, None)
    write_calibration(folder / CALIBRATION, store, index.calibration, index.uncalibrated)
    publish(folder, CALIBRATION)
    if not is_address(shown(folder)):
        for shard in shards:
            open_shard_search(folder, shard)
    write_manifest(folder, manifest)


def _copy_credits(source: Path, folder: Path) -> None:
    if (source / CREDITS).exists():
        shutil.copy(source / CREDITS, folder / CREDITS)


def _trained(store: Store, options: SearchOptions) -> Any:
    """Empty codes for all rows of a table."""

    def read(rows: IntArray) -> FloatArray:
        found = np.empty((len(rows), store.dim), np.float32)
        done = 0
        for part in _batches(rows, store.dim):
            table = store.taken(part, ["vector", "vector_sum"])
            vectors = half(table.column("vector"), store.dim)
            compare(vector_sums(vectors), table.column("vector_sum"), part, "vector", store.folder)
            found[done : done + len(part)] = vectors
            done += len(part)
        return found

    return trained(len(store), store.dim, options.memory, read, np.random.default_rng(0))


def _batches(rows: IntArray, dim: int) -> list[IntArray]:
    """Rows whose vectors are held at once."""
    step = max(1, BLOCK_BYTES // (2 * dim))
    return [rows[first : first + step] for first in range(0, len(rows), step)]
