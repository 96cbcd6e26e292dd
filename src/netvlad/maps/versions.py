"""Versions of the table: written as one, flushed to the disk, merged, cleaned up, listed and restored."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import DiskFullError, NetvladError, PlaceIndexError, PlaceIndexWarning, first_line
from netvlad.maps.remote import Spot, parent_of
from netvlad.runtime.addresses import is_address
from netvlad.runtime.files import flush, is_full
from netvlad.types import Array

if TYPE_CHECKING:
    import pyarrow as pa

FRAGMENTS = 64  # more files than this are merged when a change ends
DELETED = 0.25  # so large a share of removed rows is, too
REMEDY = "restore the folder from a copy, or make the index anew from the photos"
KEPT = 5  # finished states that can be restored, however old
TAG = "state-"
ROW_BYTES = 8  # that a removed row takes, at most


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

    if not (new is not None or (without is not None and len(without))):
        return table
    spot, read = spot_of(table), table.version
    if isinstance(spot, str):
        return _commit_there(table, spot, without, new)
    folder, before = spot, _data_files(spot)
    try:
        operation = _operation(table, without, new)
        written = sorted(_data_files(folder) - before)
        flush(*written, *{file.parent for file in written})
        table = lance.LanceDataset.commit(table, operation, read_version=read)
        flush_version(folder)
    except BaseException as e:
        if not is_full(e):
            raise
        if lance.dataset(str(folder)).version == read:  # nothing knows of these files
            for file in _data_files(folder) - before:
                file.unlink(missing_ok=True)
        wanted = ROW_BYTES * len(() if without is None else without) + (0 if new is None else new.nbytes)
        free = shutil.disk_usage(folder).free
        raise DiskFullError(
            f"the disk is full: about {wanted / 1e6:,.2f} MB are to be written and {free / 1e6:,.2f} MB are free; "
            "what was finished is kept, and the same command goes on once there is room",
            path=folder,
        ) from e
    return table


def create(spot: Spot, schema: pa.Schema) -> None:
    """Write an empty table. One at an address stays as it is: another process may be making the same map."""
    import lance

    if isinstance(spot, str):
        with suppress(OSError):  # it is there
            lance.write_dataset(schema.empty_table(), spot, mode="create")
    else:
        lance.write_dataset(schema.empty_table(), str(spot), mode="overwrite" if spot.exists() else "create")


def spot_of(table: Any) -> Spot:
    """Where a Lance dataset is: an address, or a folder."""
    uri: str = table.uri
    return uri if is_address(uri) else Path(uri)


def _commit_there(table: Any, address: str, without: Array | None, new: pa.Table | None) -> Any:
    """As `commit`, in an object store, which keeps what it has taken. Raises PlaceIndexError where another process
    writes: there is no lock across machines, and both would describe the same photos.
    """
    import lance

    with reading(address):
        if table.latest_version == table.version:
            now = lance.LanceDataset.commit(table, _operation(table, without, new), read_version=table.version)
            if now.version == table.version + 1:
                return now
    raise PlaceIndexError("another process is writing to it; run the same again when that is done", path=address)


def _data_files(folder: Path) -> set[Path]:
    return {file for name in ("data", "_deletions") for file in (folder / name).glob("*")}


def _operation(table: Any, without: Array | None, new: pa.Table | None) -> Any:
    """Write the files of a version, see `commit`; return what has to be committed."""
    import lance

    added = [] if new is None else lance.fragment.write_fragments(new, table, schema=table.schema)
    if without is None or not len(without):
        return lance.LanceOperation.Append(added)
    return lance.LanceOperation.Update(*_deleted(table, np.asarray(without, np.uint64)), added)


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


def flush_version(folder: Spot, *names: str) -> None:
    """Flush folders of files and the newest version to the disk: a rename outlives a kill, but not a power cut.

    Nothing for a table in an object store, which keeps what it has taken.
    """
    if isinstance(folder, str):
        return
    written = [file for name in names for file in (*(folder / name).glob("*"), folder / name)]
    versions = folder / "_versions"
    manifest = max(versions.glob("*.manifest"), key=lambda file: file.stat().st_mtime_ns)
    flush(*written, manifest, versions)


@contextmanager
def reading(folder: Spot) -> Iterator[None]:
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
    try:
        with reading(spot_of(table)):
            _merge_small(table)
    except PlaceIndexError as e:
        if not is_full(e):
            raise
        warnings.warn(
            f"{table.uri}: small files are not merged, since the disk is full", PlaceIndexWarning, stacklevel=4
        )
        return
    try:
        with reading(spot_of(table)):
            _tag(table)
            table.cleanup_old_versions(older_than=timedelta(hours=1), error_if_tagged_old_versions=False)
    except PlaceIndexError as e:
        cause = first_line(e.__cause__ or e)
        why = "the disk is full" if is_full(e) else f"one of them is damaged ({cause})"
        warnings.warn(f"{table.uri}: files of old versions stay, since {why}", PlaceIndexWarning, stacklevel=4)


def _merge_small(table: Any) -> None:
    stats = [fragment.metadata for fragment in table.get_fragments()]
    deleted = sum(fragment.num_deletions for fragment in stats)
    if len(stats) > FRAGMENTS or deleted > DELETED * sum(fragment.physical_rows for fragment in stats):
        table.optimize.compact_files()


def _tag(table: Any) -> None:
    """Mark the newest version as a finished state, and take the mark from the oldest: Lance keeps marked ones."""
    marked = {tag["version"]: name for name, tag in table.tags.list().items() if name.startswith(TAG)}
    newest = table.latest_version
    if newest not in marked:
        table.tags.create(f"{TAG}{newest}", newest)
        for old in sorted(marked)[: max(0, len(marked) + 1 - KEPT)]:
            table.tags.delete(marked[old])


def lost_version(table: Any) -> int:
    """The newest finished state, where it is later than the newest version: that has gone. 0 where none has."""
    try:
        marked = [tag["version"] for name, tag in table.tags.list().items() if name.startswith(TAG)]
    except Exception:  # a mark is damaged: the next change tells of it
        return 0
    newest = max(marked, default=0)
    return newest if newest > table.latest_version else 0


def list_versions(folder: Spot) -> list[Version]:
    """All versions, oldest first. Raises PlaceIndexError where one of them is damaged."""
    import lance

    with reading(folder):
        found = [(v["version"], v["timestamp"]) for v in lance.dataset(str(folder)).versions()]
        return [Version(n, time, lance.dataset(str(folder), version=n).count_rows()) for n, time in found]


def readable_version(folder: Spot, number: int) -> Any:
    """The Lance dataset of a version. Raises PlaceIndexError where there is none, or its files are gone or damaged."""
    import lance

    known = [version.number for version in list_versions(folder)]
    if number not in known:
        raise PlaceIndexError(
            f"has no version {number}; there are {', '.join(map(str, known))}", path=parent_of(folder)
        )
    with reading(folder):
        old = lance.dataset(str(folder), version=number)
        old.to_table(columns=["path"])
    return old


def restore(folder: Spot, old: Any) -> None:
    """Write a new version that is as `old` is, a `readable_version`."""
    old.restore()
    flush_version(folder)
