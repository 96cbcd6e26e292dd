"""Paths in the table: relative to one folder, the root, so that a map and its photos can move."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netvlad.runtime.addresses import is_address
from netvlad.types import Array

if TYPE_CHECKING:
    import pyarrow as pa

ADDRESS = "^[A-Za-z][A-Za-z0-9+.-]+://"


@dataclass(frozen=True)
class Root:
    """The folder that stored paths are relative to, as an absolute path; "" where all of them are absolute.

    Paths outside of it are stored as they are. Stored paths have slashes on every system.
    """

    folder: str = ""

    def stored(self, paths: pa.Array) -> pa.Array:
        """How absolute `paths` (n,) are stored; stored ones that are relative stay as they are."""
        import pyarrow.compute as pc

        if not self.folder:
            return paths
        remote = is_address(self.folder)
        prefix = self.folder.rstrip("/") + "/" if remote else self.folder.rstrip(os.sep) + os.sep
        below = pc.starts_with(paths, prefix, ignore_case=os.name == "nt" and not remote)  # c: and C: are one drive
        short = pc.utf8_slice_codeunits(paths, start=len(prefix))
        if os.name == "nt" and not remote:
            short = pc.replace_substring(short, "\\", "/")
        return pc.if_else(below, short, paths)

    def opened(self, paths: pa.Array) -> pa.Array:
        """The absolute paths (n,) of stored ones."""
        import pyarrow.compute as pc

        if not self.folder:
            return paths
        if is_address(self.folder):
            absolute = pc.match_substring_regex(paths, f"{ADDRESS}|^/")
            return pc.if_else(absolute, paths, pc.binary_join_element_wise(self.folder.rstrip("/"), paths, "/"))
        absolute = pc.match_substring_regex(
            paths, rf"{ADDRESS}|^[A-Za-z]:|^\\|^/" if os.name == "nt" else f"{ADDRESS}|^/"
        )
        short = pc.replace_substring(paths, "/", "\\") if os.name == "nt" else paths
        prefix = self.folder.rstrip(os.sep)
        return pc.if_else(absolute, paths, pc.binary_join_element_wise(prefix, short, os.sep))

    def stored_objects(self, paths: Array) -> Array:
        """As `stored`, from and to an object array of str."""
        return _objects(self.stored(_strings(paths))) if self.folder else paths

    def opened_objects(self, paths: Array) -> Array:
        """As `opened`, from and to an object array of str."""
        return _objects(self.opened(_strings(paths))) if self.folder else paths

    def stored_one(self, path: str) -> str:
        """How one absolute path is stored; the root itself is "."."""
        return "." if self.folder and path == self.folder else str(self.stored(_strings([path]))[0])

    def opened_one(self, path: str) -> str:
        """The absolute path of one that `stored_one` gave."""
        return self.folder if self.folder and path == "." else str(self.opened(_strings([path]))[0])


def common_folder(paths: Array) -> str:
    """The deepest folder that holds all absolute `paths`; "" where only the top of the file system does."""
    import pyarrow.compute as pc

    ends = pc.min_max(_strings(paths)).as_py()
    if ends["min"] is None:
        return ""
    if is_address(ends["min"]) or is_address(ends["max"]):
        return _common_address(ends["min"], ends["max"])
    try:
        folder = os.path.commonpath([os.path.dirname(path) for path in ends.values()])
    except ValueError:  # on different drives
        return ""
    return "" if os.path.dirname(folder) == folder else folder


def _common_address(first: str, last: str) -> str:
    """The deepest folder of a bucket that holds two files; "" where there is none."""
    pairs = zip(first.split("/")[:-1], last.split("/")[:-1], strict=False)
    shared = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return "/".join(shared) if len(shared) > 2 else ""  # s3:, nothing, the bucket


def find_root(recorded: str, from_map: str, map_folder: Path, first: str) -> str:
    """Where the root of a map is now: beside the map as it was, as both may have moved, else where it was recorded.

    recorded: its absolute path when it was set, "" for none. from_map: its path relative to the map's folder. first: a
    stored path, whose photo tells the two apart.
    """
    beside = os.path.normpath(os.path.join(os.path.abspath(map_folder), from_map)) if from_map else recorded
    if beside == recorded:
        return recorded
    candidates = (beside, recorded)
    for found in (os.path.exists, None):
        for folder in candidates:
            if found(os.path.join(folder, first)) if found else os.path.isdir(folder):
                return folder
    return recorded


def relative_to_map(root: str, map_folder: Path) -> str:
    """The path of `root` from the map's folder; "" where there is none, as between drives of Windows."""
    if is_address(root):
        return ""
    try:
        return os.path.relpath(root, os.path.abspath(map_folder))
    except ValueError:
        return ""


def _strings(paths: Any) -> pa.Array:
    import pyarrow as pa

    return pa.array(paths, pa.string())


def _objects(paths: Any) -> Array:
    found: Array = paths.to_numpy(zero_copy_only=False)
    return found
