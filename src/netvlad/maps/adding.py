"""Describing photos that are new to a table: in chunks, appended in batches, so that it goes on where it stopped."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from netvlad.errors import DiskFullError
from netvlad.maps.remote import MODEL, beside
from netvlad.maps.survey import Survey
from netvlad.runtime.progress import progress
from netvlad.types import Describer

if TYPE_CHECKING:
    from netvlad.describe.stream import Contents, Described, Describing

SECONDS = 10.0  # work that is lost at most when describing is killed
PLACE_BYTES = 200  # that a row takes beside its vector


@dataclass
class Added:
    """Number of `new` photos, number of photos `known` already, and unreadable path -> reason.

    replaced: paths whose photo had changed, so that its row gave way to a new one.
    """

    new: int = 0
    known: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)


@dataclass
class Fresh:
    """What describing came to: `photos` of the survey that are in now; rows of them in `replaced`.

    owners: content -> the photo that is in with it. copies: photos whose content is in already -> that content.
    unreadable: photo -> reason.
    """

    photos: list[int] = field(default_factory=list)
    owners: dict[bytes, int] = field(default_factory=dict)
    replaced: list[int] = field(default_factory=list)
    copies: dict[int, bytes] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)


def describe_fresh(
    survey: Survey,
    model: Describer,
    *,
    workers: int | None = None,
    describing: Describing | None = None,
    known: Contents | None = None,
) -> Fresh:
    """Describe the fresh photos of `survey` and append them in batches; rows that they replace go with each.

    describing: what describes in the place of this machine. known: contents that are in, where the survey has not
    compared them; those of the photos are added.
    """
    from netvlad.describe.stream import Contents, describe_photos

    known = Contents() if known is None else known
    plan, paths = survey.plan, survey.places.path.tolist()
    todo = np.flatnonzero(plan.fresh).tolist()
    result = Fresh()
    waiting: list[Described] = []
    outdated: list[int] = []  # rows of photos that have the content of others by now

    def flush() -> None:
        photos = [row for chunk in waiting for row in chunk.rows]
        gone = outdated + [int(plan.old[photo]) for photo in photos if plan.replaces[photo]]
        without = survey.row_ids(np.array(gone, np.int64))
        outdated.clear()
        if not waiting:
            survey.store.remove(without)
            result.replaced += gone
            return
        digests = [digest for chunk in waiting for digest in chunk.digests]
        vectors = np.concatenate([chunk.vectors for chunk in waiting])
        waiting.clear()  # first: on Ctrl-C within `append` they may be in, and must not be added again below
        survey.store.append(
            survey.places[photos],
            survey.stamps_at(photos),
            digests,
            vectors,
            source=survey.source,
            without=without,
        )
        result.replaced += gone
        result.photos += photos
        result.owners |= zip(digests, photos, strict=True)

    if describing is None:
        chunks = describe_photos(model, paths, rows=todo, known=known, workers=workers)
    else:
        chunks = describing(beside(survey.store.folder, MODEL), paths, todo, known=known)
    last = time.monotonic()
    try:
        with progress("indexing", len(todo)) as advance, closing(chunks):
            for chunk in chunks:
                result.copies |= chunk.known
                outdated += [int(plan.old[photo]) for photo in chunk.known if plan.replaces[photo]]
                result.unreadable |= chunk.unreadable
                if chunk.rows:
                    waiting.append(chunk)
                advance(len(chunk.rows) + len(chunk.known) + len(chunk.unreadable))
                if time.monotonic() - last > SECONDS:
                    flush()
                    last = time.monotonic()
            flush()
    except DiskFullError as e:
        missing = (len(todo) - len(result.photos)) * (2 * survey.store.dim + PLACE_BYTES)
        done = f"{len(result.photos)} of {len(todo)} new photos are in, and the others need about"
        raise DiskFullError(f"{e.reason}; {done} {missing / 1e6:,.2f} MB", path=e.path) from e
    finally:  # also on Ctrl-C: what is described is kept
        flush()
    return result


def append_new(survey: Survey, model: Describer, *, workers: int | None = None) -> tuple[Added, list[int]]:
    """Add what is new and leave the places of known photos as they are; see `PlaceIndex.add`.

    Returns also the rows that went.
    """
    plan, path = survey.plan, survey.places.path
    stale = np.flatnonzero(plan.stale)
    survey.store.remove(survey.row_ids(stale))
    fresh = describe_fresh(survey, model, workers=workers)
    known = int((plan.rows >= 0).sum()) + survey.repeated + len(fresh.copies)
    unreadable = survey.misnamed | {path[photo]: reason for photo, reason in fresh.unreadable.items()}
    replaced = sorted({path[photo] for photo in fresh.photos if plan.replaces[photo]})
    return Added(len(fresh.photos), known, unreadable, replaced), [*stale.tolist(), *fresh.replaced]
