"""Changes of an index: the table first, then what is made from it. Each returns a result and the snapshot after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from netvlad.describe.stream import Describing
from netvlad.maps.adding import Added, append_new
from netvlad.maps.manifest import read_manifest, write_manifest
from netvlad.maps.opening import open_store, settle_root
from netvlad.maps.pieces import Told, follow_pieces
from netvlad.maps.remote import publish
from netvlad.maps.snapshot import Snapshot
from netvlad.maps.survey import rows_at, survey_of
from netvlad.maps.sync import Synced, agree, check_vanishing, findings, update_known
from netvlad.maps.versions import readable_version, restore
from netvlad.maps.where import Where
from netvlad.places import Places
from netvlad.search.options import SearchOptions
from netvlad.search.search_file import is_current
from netvlad.search.vector_index import fits, remove_other_kind
from netvlad.types import Describer

T = TypeVar("T")


def prepared(
    folder: Path, radius: float, root: str | None, places: Places | None, search: SearchOptions | None = None
) -> Snapshot:
    """The newest version of the index in `folder`, ready to be changed: with a root, and with all columns.

    root: the folder to store paths relative to, None for what is recorded. places: the first ones of a new index.
    search: what the search is wanted to be from now on, None for what is recorded.
    """
    manifest = read_manifest(folder)
    manifest = settle_root(folder, manifest, root, places, len(open_store(folder, manifest)))
    if search is not None and search != manifest.search:
        write_manifest(folder, replace(manifest, search=search))
        (folder / "search.faiss").unlink(missing_ok=True)  # it is of another kind
    snapshot = Snapshot(folder, open_store(folder, manifest, root), radius)
    if not snapshot.store.has_sums:  # they come now: a search file of before carries no seal
        (folder / "search.faiss").unlink(missing_ok=True)
    snapshot.store.upgrade()
    return snapshot


def add_places(snapshot: Snapshot, model: Describer, places: Places, *, workers: int | None) -> tuple[Added, Snapshot]:
    """See `PlaceIndex.add`."""
    survey = survey_of(snapshot.store, places)
    return _carry_out(snapshot, survey.removes, partial(append_new, survey, model, workers=workers))


def sync_places(
    snapshot: Snapshot,
    model: Describer,
    places: Places,
    source: str,
    keep_missing: bool,
    workers: int | None,
) -> tuple[Synced, Snapshot]:
    """See `PlaceIndex.sync`. source: an absolute path, "" for all rows."""
    survey = survey_of(snapshot.store, places, source=source, scoped=True)
    if not keep_missing:
        check_vanishing(survey, snapshot.store.version)
    act = partial(agree, survey, model, keep_missing=keep_missing, workers=workers)
    return _carry_out(snapshot, survey.removes, act)


def sync_pieces(
    snapshot: Snapshot,
    model: Describer,
    pieces: Iterable[Places],
    source: str,
    keep_missing: bool,
    workers: int | None,
    describing: Describing | None,
    told: Told,
) -> tuple[None, Snapshot]:
    """See `PlaceIndex.sync_parts`."""
    file = snapshot.folder / "search.faiss"

    def act() -> tuple[None, list[int]]:
        follow_pieces(
            snapshot.store,
            model,
            pieces,
            source,
            keep_missing=keep_missing,
            workers=workers,
            describing=describing,
            removing=lambda: file.unlink(missing_ok=True),  # as in `_carry_out`
            told=told,
        )
        return None, []

    return _carry_out(snapshot, False, act)


def preview(snapshot: Snapshot, places: Places, source: str) -> Synced:
    """What `sync_places` would do, as far as it can be told without describing."""
    return findings(survey_of(snapshot.store, places, source=source, scoped=True))


def update_places(snapshot: Snapshot, places: Places) -> tuple[Synced, Snapshot]:
    """See `PlaceIndex.update`."""
    survey = survey_of(snapshot.store, places, files=False)
    return _carry_out(snapshot, survey.removes, partial(update_known, survey))


def remove_photos(snapshot: Snapshot, photos: list[str] | Where) -> tuple[int, Snapshot]:
    """See `PlaceIndex.remove`. photos: absolute paths, or where they are."""
    store = snapshot.store
    rows = snapshot.rows_where(photos) if isinstance(photos, Where) else rows_at(store, photos)

    def act() -> tuple[int, list[int]]:
        store.remove(store.held([]).column("_rowid").to_numpy()[rows])
        return len(rows), rows.tolist()

    return _carry_out(snapshot, len(rows) > 0, act)


def restore_version(snapshot: Snapshot, number: int) -> tuple[int, Snapshot]:
    """See `PlaceIndex.restore`."""
    folder = snapshot.store.folder

    def act() -> tuple[int, list[int]]:
        old = readable_version(folder, number)
        (snapshot.folder / "search.faiss").unlink(missing_ok=True)  # first, as in `_carry_out`
        restore(folder, old)
        snapshot.store.reopen()
        return len(snapshot.store), []

    return _carry_out(snapshot, False, act)


def _carry_out(snapshot: Snapshot, removes: bool, act: Callable[[], tuple[T, list[int]]]) -> tuple[T, Snapshot]:
    """Change the table of `snapshot` by `act`, and let the search file and the calibration follow.

    removes: whether rows may go. act: returns a result, and which rows went. The given snapshot must not be asked any
    more.
    """
    file, flat = snapshot.folder / "search.faiss", None
    if removes:  # the file must not outlive a kill as a copy of rows that have moved up
        flat = snapshot.flat_index if is_current(file, snapshot.store) else None
        file.unlink(missing_ok=True)
    result, gone = act()
    snapshot.store.merge()
    now = Snapshot(snapshot.folder, snapshot.store, snapshot.radius)
    if flat is not None and fits(flat, len(now.store), now.store.dim, now.search_options):
        flat.follow(now.store, file, gone)
        now.flat_index = flat
    elif not is_current(file, now.store):
        remove_other_kind(file, len(now.store), now.store.dim, now.search_options)
        _ = now.flat_index  # made while the lock is held
    _ = now.calibrated
    publish(snapshot.folder, "calibration.json")
    return result, now
