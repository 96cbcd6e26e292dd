"""Checks an index for damage: what `netvlad check` does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.maps.calibration_file import read_calibration
from netvlad.maps.manifest import Manifest, read_manifest
from netvlad.maps.opening import open_store
from netvlad.maps.remote import fetch
from netvlad.maps.sharded import ShardedStore, open_shard, shard_place
from netvlad.maps.store import Store
from netvlad.runtime.artifacts import FILE, read_artifact_checksum
from netvlad.runtime.counted import counted
from netvlad.runtime.progress import progress
from netvlad.search.compressed_file import read_compressed
from netvlad.search.flat_index import read_copy
from netvlad.search.options import SearchOptions

ANEW = "it is made anew when the index is next used"


@dataclass(frozen=True)
class Finding:
    """What was found of one part of an index. sound: whether it is as it was written. text: details, and the remedy."""

    part: str
    sound: bool
    text: str


def check_index(folder: str | os.PathLike[str], *, deep: bool = False) -> Iterator[Finding]:
    """Yield a finding for each part of the index: manifest, model, table, search file, calibration.

    deep: read every vector and compare it with its checksum; otherwise every place is. Nothing is changed, and no code
    of a model is run. Raises PlaceIndexError where there is no index.
    """
    folder = fetch(folder)
    if not folder.is_dir():
        raise PlaceIndexError("is not an index (no such folder)", path=folder)
    try:
        manifest = read_manifest(folder)
    except PlaceIndexError as e:
        yield Finding("manifest.json", False, e.reason)
        return
    yield Finding("manifest.json", True, f"{manifest.model}, {manifest.dim} numbers, radius {manifest.radius:g} m")
    yield _model(folder, manifest)
    if manifest.shards:
        yield from _shards(folder, manifest, deep)
        return
    try:
        store = open_store(folder, manifest)
        yield from _table(store, deep)
    except PlaceIndexError as e:
        yield Finding("places.lance", False, e.reason)
        return
    yield _search(folder / "search.faiss", store, manifest.search, deep)
    yield _calibration(folder / "calibration.json", store)


def _shards(folder: Path, manifest: Manifest, deep: bool) -> Iterator[Finding]:
    """The findings of each shard as of a map by itself, and whether it is that which was cut."""
    for shard in manifest.shards:
        try:
            open_shard(folder, shard)
            for finding in check_index(shard_place(folder, shard.name), deep=deep):
                yield replace(finding, part=f"{shard.name}/{finding.part}")
        except PlaceIndexError as e:
            yield Finding(shard.name, False, e.reason)
    yield _calibration(folder / "calibration.json", ShardedStore(folder, manifest.shards, manifest.dim, None))


def _model(folder: Path, manifest: Manifest) -> Finding:
    files = {file.name for file in (folder / "model").glob("*")}
    if files and not files & {"card.json", FILE}:
        return Finding("model", True, "is of a kind without a card: open the index with its model")
    try:
        checksum = read_artifact_checksum(folder / "model", error=PlaceIndexError)
    except NetvladError as e:
        return Finding("model", False, f"{e.path}: {e.reason}; restore the folder model from a copy")
    if checksum is None:
        return Finding("model", True, "of another package, which has no checksum to compare")
    if checksum != manifest.identity:
        return Finding("model", False, "is not the model of these vectors; restore the folder model from a copy")
    return Finding("model", True, "its weights are those of the vectors")


def _table(store: Store, deep: bool) -> Iterator[Finding]:
    rows = len(store)
    store.places()
    store.held()
    if not store.has_sums:
        text = f"{counted(rows, 'photo')}, written before there were checksums; they are added with the next photos"
        yield Finding("places.lance", True, text)
        return
    if deep:
        with progress("reading vectors", rows) as advance:
            for block in store.vectors():
                advance(len(block))
    yield Finding("places.lance", True, counted(rows, "photo") + (", every vector read" if deep else ""))


def _search(file: Path, store: Store, options: SearchOptions, deep: bool) -> Finding:
    if not file.exists():
        return Finding(file.name, True, f"is not there; {ANEW}")
    if options.compresses(len(store), store.dim):
        return _compressed(file, store, options, deep)
    index, reason = read_copy(file, store)
    if index is None:
        return Finding(file.name, False, f"{reason}; {ANEW}")
    return Finding(file.name, True, f"{index.ntotal} of {counted(len(store), 'photo')}")


def _compressed(file: Path, store: Store, options: SearchOptions, deep: bool) -> Finding:
    state, reason = read_compressed(file, store, options)
    if state is None:
        return Finding(file.name, False, f"{reason}; {ANEW}")
    try:
        for _ in state.vectors.blocks() if deep else ():
            pass
    except PlaceIndexError as e:
        return Finding(file.name, False, e.reason)
    text = f"{state.rows} of {len(store)} photos, compressed"
    return Finding(file.name, True, text + (", every vector read" if deep else ""))


def _calibration(file: Path, store: Store) -> Finding:
    try:
        known = read_calibration(file, len(store), store.fingerprint(len(store))) if file.exists() else None
    except (OSError, ValueError) as e:
        return Finding(file.name, False, f"cannot be used ({type(e).__name__}: {e}); {ANEW}")
    if known is None:
        return Finding(file.name, True, f"is not there, or of fewer photos; {ANEW}")
    learnt, reason = known
    return Finding(
        file.name, True, f"{learnt.how}, {counted(learnt.asked, 'photo')} asked" if learnt else f"none: {reason}"
    )
