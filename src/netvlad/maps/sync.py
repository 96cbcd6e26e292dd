"""Make the table agree with places: changed rows are rewritten, others go, new photos are described."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np

from netvlad.describe.stream import Contents, Describing
from netvlad.errors import PlaceIndexError, PlaceIndexWarning
from netvlad.maps.adding import Fresh, describe_fresh
from netvlad.maps.remote import parent_of
from netvlad.maps.store import Store
from netvlad.maps.survey import Survey
from netvlad.runtime.progress import progress
from netvlad.types import Array, BoolArray, Describer

REWRITTEN = 1 << 26  # bytes of vectors that are written anew at once
MANY = 100  # rows of which nobody is warned that most go: there are few enough to look at


@dataclass
class Synced:
    """What a sync did, or would do; all lists but `moved` hold absolute paths.

    new: photos that the map did not hold. known: number of photos that it did. replaced: described again, since the
    content changed. moved: (path before, path now). repositioned, reheaded, retimed, relabelled: known photos with
    another position, heading, time, or label (place, panorama, split). vanished: photos that left the map, or stay in
    it with keep_missing. duplicates: photos that were left out -> the path whose content they have. unreadable: path ->
    reason; what the map holds of these stays.
    """

    new: list[str] = field(default_factory=list)
    known: int = 0
    replaced: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    repositioned: list[str] = field(default_factory=list)
    reheaded: list[str] = field(default_factory=list)
    retimed: list[str] = field(default_factory=list)
    relabelled: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    duplicates: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything differed."""
        return any(getattr(self, f.name) for f in fields(self) if f.name not in ("known", "duplicates", "unreadable"))


def merged(found: Iterable[Synced]) -> Synced:
    """What several syncs did, as one."""
    whole = Synced()
    for one in found:
        whole.known += one.known
        for name in (f.name for f in fields(Synced) if f.name != "known"):
            mine, theirs = getattr(whole, name), getattr(one, name)
            mine.update(theirs) if isinstance(mine, dict) else mine.extend(theirs)
    return whole


def findings(survey: Survey) -> Synced:
    """What `agree` would do, as far as it can be told without describing."""
    plan, path = survey.plan, survey.places.path

    def told(photos: BoolArray) -> list[str]:
        found: list[str] = path[photos].tolist()
        return found

    moved, doubled = np.flatnonzero(plan.moved), np.flatnonzero(plan.duplicate)
    kept = (plan.rows >= 0) & ~plan.duplicate
    owner = dict(zip(plan.rows[kept & plan.moved].tolist(), path[kept & plan.moved].tolist(), strict=True))
    theirs = plan.rows[doubled]
    paths = [owner.get(row, held) for row, held in zip(theirs.tolist(), survey.row_paths(theirs), strict=True)]
    return Synced(
        new=told(plan.fresh & ~plan.replaces),
        known=int((plan.rows >= 0).sum()) + survey.repeated,
        replaced=told(plan.replaces),
        moved=list(zip(survey.row_paths(plan.rows[moved]), path[moved].tolist(), strict=True)),
        repositioned=told(plan.position),
        reheaded=told(plan.heading),
        retimed=told(plan.time),
        relabelled=told(plan.label),
        vanished=survey.row_paths(np.flatnonzero(plan.vanished)),
        duplicates=dict(zip(path[doubled].tolist(), paths, strict=True)),
        unreadable=dict(survey.misnamed),
    )


def agree(
    survey: Survey,
    model: Describer,
    *,
    keep_missing: bool = False,
    workers: int | None = None,
) -> tuple[Synced, list[int]]:
    """Do what the survey found necessary; see `PlaceIndex.sync`. Returns also the rows that went."""
    found, fresh = carry_out(survey, model, keep_missing=keep_missing, workers=workers)
    plan = survey.plan
    gone = plan.stale if keep_missing else plan.stale | plan.vanished
    return found, [*np.flatnonzero(gone).tolist(), *plan.rows[plan.changed].tolist(), *fresh.replaced]


def carry_out(
    survey: Survey,
    model: Describer,
    *,
    keep_missing: bool = False,
    workers: int | None = None,
    describing: Describing | None = None,
    known: Contents | None = None,
) -> tuple[Synced, Fresh]:
    """Do what the survey found necessary. known: as in `describe_fresh`."""
    plan, path = survey.plan, survey.places.path
    found = findings(survey)
    gone = plan.stale if keep_missing else plan.stale | plan.vanished
    rewrite(survey, plan.changed, gone)
    fresh = describe_fresh(survey, model, workers=workers, describing=describing, known=known)
    found.new, found.replaced = _described(survey, fresh)
    held = _holders(survey.store, {digest for digest in fresh.copies.values() if digest not in fresh.owners})
    for photo, digest in fresh.copies.items():
        owner = fresh.owners.get(digest)
        found.duplicates[path[photo]] = held.get(digest, "") if owner is None else path[owner]
    found.known += len(fresh.copies)
    found.unreadable |= {path[photo]: reason for photo, reason in fresh.unreadable.items()}
    return found, fresh


def update_known(survey: Survey) -> tuple[Synced, list[int]]:
    """Give known photos the places they have now; see `PlaceIndex.update`. Returns also the rows that went."""
    plan = survey.plan
    rewrite(survey, plan.changed, np.zeros(len(plan.vanished), bool))
    return findings(survey), plan.rows[plan.changed].tolist()


def check_vanishing(survey: Survey, version: int) -> None:
    """`check_going` of a survey. version: that of the table."""
    plan, scope = survey.plan, survey.scope
    stays = not (plan.vanished | plan.stale)[scope].all() or (plan.fresh & (survey.stamps[0] >= 0)).any()
    source = survey.store.root.opened_one(survey.source) if survey.source else ""
    check_going(survey.store, int((plan.vanished & scope).sum()), int(scope.sum()), bool(stays), source, version)


def check_going(store: Store, going: int, all_of: int, stays: bool, source: str, version: int) -> None:
    """Raise PlaceIndexError where every row in scope goes and nothing that can be read comes: a disk is not mounted.

    Warn with PlaceIndexWarning where most go. going: number of rows that go, of `all_of` from `source`, "" for
    anywhere. stays: whether any stays or comes. version: that of the table, which brings them back.
    """
    folder, where = parent_of(store.folder), f" from {source}" if source else ""
    if all_of and not stays:
        raise PlaceIndexError(
            f"none of its photos{where} ({all_of}) is there any more: is a disk not mounted, or did the photos move "
            "(root=, --root)? To take them out on purpose, use PlaceIndex.remove, or make another index",
            path=folder,
        )
    if going >= MANY and going > all_of / 2:
        text = f"{folder}: {going} of its {all_of} photos{where} are gone, and leave it: is a disk not mounted? "
        warnings.warn(f"{text}`netvlad restore {folder} {version}` brings them back", PlaceIndexWarning, stacklevel=6)


def _holders(store: Store, digests: set[bytes]) -> dict[bytes, str]:
    """The absolute path of a row with each of these contents."""
    rows = store.rows_with(digests)
    held = store.held(["path", "digest"], rows)
    return dict(zip(held.column("digest").to_pylist(), store.root.opened(held.column("path")).to_pylist(), strict=True))


def _described(survey: Survey, fresh: Fresh) -> tuple[list[str], list[str]]:
    path, replaces = survey.places.path, survey.plan.replaces
    new = [path[photo] for photo in fresh.photos if not replaces[photo]]
    return new, [path[photo] for photo in fresh.photos if replaces[photo]]


def rewrite(survey: Survey, changed: BoolArray, gone: BoolArray) -> None:
    """Give the rows of `changed` photos the place, path and stamp that these have, and remove the rows that are `gone`.

    What is gone goes with the first batch.
    """
    store, plan = survey.store, survey.plan
    photos, going = np.flatnonzero(changed), np.flatnonzero(gone)
    if not len(photos):
        store.remove(survey.row_ids(going))
        return
    old = Store(store.folder, store.root, store.version)
    sources = _sources(survey, photos)
    step = max(1, REWRITTEN // (2 * store.dim))
    with progress("rewriting", len(photos)) as advance:
        for first in range(0, len(photos), step):
            part = photos[first : first + step]
            rows = plan.rows[part]
            stamps = (survey.stamps[0][part], survey.stamps[1][part])
            without = survey.row_ids(np.concatenate([rows, going]))
            store.rewrite(
                survey.rows_of_table(rows), old, survey.places[part], stamps, sources[first : first + step], without
            )
            going = going[:0]
            advance(len(part))


def _sources(survey: Survey, photos: Array) -> list[str]:
    """The sources of rewritten rows: where the photos come from now if they have moved or none was known."""
    plan, now = survey.plan, survey.source
    was = survey.held.column("source").take(plan.rows[photos]).to_pylist()
    moved = plan.moved[photos].tolist()
    return [now if gone or not source else source for gone, source in zip(moved, was, strict=True)]
