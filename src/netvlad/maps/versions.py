"""Versions of the table: written as one, flushed to the disk, merged, cleaned up, listed and restored."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import NetvladError, PlaceIndexError, PlaceIndexWarning, first_line
from netvlad.runtime.files import flush
from netvlad.types import Array

if TYPE_CHECKING:
    import pyarrow as pa

FRAGMENTS = 64  # more files than this are merged when a change ends
DELETED = 0.25  # so large a share of removed rows is, too
REMEDY = "restore the folder from a copy, or make the index anew from the photos"
KEPT = 5  # finished states that can be restored, however old
TAG = "state-"


@dataclass(frozen=True)
class Version:
    """A version of the table: its number, the local time when it was written, and how many photos it holds."""

    number: int
    time: datetime
    photos: int


def commit(table: Any, without: Array | None, new: pa.Table | None) -> Any:
    """Write a version of the Lance dataset `table` without some rows and with `new` ones at the end; return it.

    without: ids of rows, uint64. Old and new version are whole at any moment; when this returns the new one is on the
    disk.
    """
    import lance

    folder = Path(table.uri)
    before = {name: set((folder / name).glob("*")) for name in ("data", "_deletions")}
    if without is None or not len(without):
        if new is None:
            return table
        operation = lance.LanceOperation.Append(lance.fragment.write_fragments(new, table, schema=table.schema))
    else:
        gone, fewer = _deleted(table, np.asarray(without, np.uint64))
        added = [] if new is None else lance.fragment.write_fragments(new, table, schema=table.schema)
        operation = lance.LanceOperation.Update(gone, fewer, added)
    written = [file for name, old in before.items() for file in sorted(set((folder / name).glob("*")) - old)]
    flush(*written, *(folder / name for name in before if (folder / name).is_dir()))
    table = lance.LanceDataset.commit(table, operation, read_version=table.version)
    flush_version(folder)
    return table


def _deleted(table: Any, without: Array) -> tuple[list[int], list[Any]]:
    """The fragments of which all rows go, and new descriptions of those of which some go."""
    gone, fewer = [], []
    of = without >> np.uint64(32)  # an id is the number of a fragment and of a row in it
    for fragment in table.get_fragments():
        rows = without[of == np.uint64(fragment.fragment_id)]
        if len(rows):
            left = fragment.delete(f"_rowid IN ({', '.join(map(str, rows.tolist()))})")
            if left is None:
                gone.append(fragment.fragment_id)
            else:
                fewer.append(left)
    return gone, fewer


def flush_version(folder: Path, *written: Path) -> None:
    """Flush files and the newest version to the disk: a rename outlives a kill, but not a power cut."""
    versions = folder / "_versions"
    manifest = max(versions.glob("*.manifest"), key=lambda file: file.stat().st_mtime_ns)
    flush(*written, manifest, versions)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Make PlaceIndexErrors of what Lance raises when it cannot read the table in `folder`."""
    try:
        yield
    except BaseException as e:
        panicked = type(e).__name__ == "PanicException"  # of Lance's Rust code: no Exception, and not importable
        if isinstance(e, NetvladError) or not (isinstance(e, Exception) or panicked):
            raise
        reason = f"the table of places cannot be read ({first_line(e)}): {REMEDY}"
        raise PlaceIndexError(reason, path=folder) from e


def merge(table: Any) -> None:
    """Merge small files once they are many, and delete files that no version needs that can be restored.

    These are the KEPT last states in which a change ended, and all versions of the last hour, since another process may
    be reading one. With a PlaceIndexWarning all stay if an older one is damaged, which this one does not need.
    reading: makes PlaceIndexErrors of what Lance raises.
    """
    with reading(Path(table.uri)):
        stats = [fragment.metadata for fragment in table.get_fragments()]
        deleted = sum(fragment.num_deletions for fragment in stats)
        if len(stats) > FRAGMENTS or deleted > DELETED * sum(fragment.physical_rows for fragment in stats):
            table.optimize.compact_files()
    try:
        with reading(Path(table.uri)):
            _tag(table)
            table.cleanup_old_versions(older_than=timedelta(hours=1), error_if_tagged_old_versions=False)
    except PlaceIndexError as e:
        cause = first_line(e.__cause__ or e)
        text = f"{table.uri}: files of old versions stay, since one of them is damaged ({cause})"
        warnings.warn(text, PlaceIndexWarning, stacklevel=4)


def _tag(table: Any) -> None:
    """Mark the newest version as a finished state, and take the mark from the oldest: Lance keeps marked ones."""
    marked = {tag["version"]: name for name, tag in table.tags.list().items() if name.startswith(TAG)}
    newest = table.latest_version
    if newest not in marked:
        table.tags.create(f"{TAG}{newest}", newest)
        for old in sorted(marked)[: max(0, len(marked) + 1 - KEPT)]:
            table.tags.delete(marked[old])


def list_versions(folder: Path) -> list[Version]:
    """All versions, oldest first. Raises PlaceIndexError where one of them is damaged."""
    import lance

    with reading(folder):
        found = [(v["version"], v["timestamp"]) for v in lance.dataset(str(folder)).versions()]
        return [Version(n, time, lance.dataset(str(folder), version=n).count_rows()) for n, time in found]


def readable_version(folder: Path, number: int) -> Any:
    """The Lance dataset of a version. Raises PlaceIndexError where there is none, or its files are gone or damaged."""
    import lance

    known = [version.number for version in list_versions(folder)]
    if number not in known:
        raise PlaceIndexError(f"has no version {number}; there are {', '.join(map(str, known))}", path=folder.parent)
    with reading(folder):
        old = lance.dataset(str(folder), version=number)
        old.to_table(columns=["path"])
    return old


def restore(folder: Path, old: Any) -> None:
    """Write a new version that is as `old` is, a `readable_version`."""
    old.restore()
    flush_version(folder)
