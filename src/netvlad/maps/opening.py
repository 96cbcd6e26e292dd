"""Parts of an index as they are opened: each is compared with the manifest."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path

from netvlad.errors import PlaceIndexError, PlaceIndexWarning
from netvlad.maps.manifest import Manifest, read_manifest, write_manifest
from netvlad.maps.remote import shown, table_of
from netvlad.maps.roots import Root, common_folder, find_root, relative_to_map
from netvlad.maps.store import Store
from netvlad.maps.survey import in_text
from netvlad.maps.versions import REMEDY
from netvlad.places import Places
from netvlad.runtime.addresses import is_address
from netvlad.types import Describer


def open_store(folder: Path, manifest: Manifest, root: str | None = None) -> Store:
    """The table of the index in `folder`. Raises PlaceIndexError where it is broken or of another index.

    root: the folder of its photos, where they have been moved; by default it is found.
    """
    store = Store(table_of(folder))
    if (store.map_id, store.dim) != (manifest.map_id, manifest.dim):
        raise PlaceIndexError(f"is the table of another index: {REMEDY}", path=store.folder)
    if lost := store.lost_version:
        text = f"{store.folder}: version {lost} is gone, so version {store.version} is used; `netvlad index` mends it"
        warnings.warn(text, PlaceIndexWarning, stacklevel=3)
    if root or manifest.root:
        store.root = Root(root or find_root(manifest.root, manifest.root_from_map, folder, store.first_path()))
    return store


def settle_root(folder: Path, manifest: Manifest, root: str | None, places: Places | None, rows: int) -> Manifest:
    """Record the folder that paths are stored relative to: `root` if given, for the first places their own folder.

    rows: number of photos that the index has. Returns the manifest as it is then.
    """
    if root is None and places is not None and not rows and not manifest.root:
        root = common_folder(in_text(places)[0].path)
    if not root:
        return manifest
    changed = replace(manifest, root=root, root_from_map=relative_to_map(root, folder))
    if changed != manifest:
        write_manifest(folder, changed)
    return changed


def moved_root(folder: Path, source: Path | str) -> str | None:
    """`source`, if the root of the index in `folder` is gone and its first photo is in `source`; otherwise None."""
    manifest = read_manifest(folder)
    store = open_store(folder, manifest)
    if not manifest.root or is_address(manifest.root) or os.path.isdir(store.root.folder):
        return None
    moved = os.path.abspath(source)
    return moved if os.path.isfile(os.path.join(moved, store.first_path())) else None


def check_model(folder: Path, manifest: Manifest, model: Describer) -> None:
    """Raise PlaceIndexError unless the index in `folder` was built with `model`."""
    if model.identity != manifest.identity:
        raise PlaceIndexError(
            f"was built with {manifest.model} ({manifest.identity[:12]}); {model.name} "
            f"({model.identity[:12]}) makes other vectors. Ask it with its own model, which is in "
            f"{folder / 'model'}, or build another index",
            path=shown(folder),
        )


def check_process(folder: Path, opened_in: int) -> None:
    """Raise PlaceIndexError in another process than that which opened the index.

    Threads of faiss, torch and Lance do not survive a fork: it would hang.
    """
    if os.getpid() != opened_in:
        raise PlaceIndexError(
            "was opened before this process was forked: open it in each process, and start processes with "
            'multiprocessing.get_context("spawn")',
            path=folder,
        )


def check_changeable(folder: Path, opened_in: int) -> None:
    """As `check_process`, and raise PlaceIndexError for a map in shards."""
    check_process(folder, opened_in)
    if (folder / "manifest.json").exists() and read_manifest(folder).shards:
        reason = (
            "is in shards, which are asked and not changed: change the map that they were cut from, and cut it anew"
        )
        raise PlaceIndexError(f"{reason} by `netvlad shard`", path=shown(folder))


def open_model(folder: Path, manifest: Manifest, *, trust_code: bool) -> Describer:
    """The describer of the index in `folder`. Raises ModelError where it is broken, PlaceIndexError if it is another.

    trust_code: as in `netvlad.load`.
    """
    from netvlad.pretrained.zoo import load_folder  # which imports torch for networks of torch alone

    model = load_folder(folder / "model", trust_code=trust_code)
    if model.identity != manifest.identity:
        raise PlaceIndexError(
            f"holds {model.name} ({model.identity[:12]}), but the vectors are by {manifest.model} "
            f"({manifest.identity[:12]}): {REMEDY}",
            path=folder / "model",
        )
    return model


def check_askable(folder: Path, count: int, top: int) -> None:
    """Raise PlaceIndexError for an index without photos, and for fewer than 1 match that is asked for."""
    if not count:
        raise PlaceIndexError("holds no photos yet; add some first", path=folder)
    if top < 1:
        raise PlaceIndexError(f"the number of matches must be at least 1, got {top}")
