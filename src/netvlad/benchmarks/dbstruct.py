"""The MATLAB struct `dbStruct` in which the authors publish splits (Relja/netvlad, datasets/dbBase.m)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvlad.errors import PlacesError
from netvlad.runtime.files import refuse_irregular
from netvlad.runtime.mat_files import check_sizes, is_hdf5
from netvlad.types import Array

LONGEST_TEXT = 10_000  # characters
_NEEDED = ("dbImageFns", "utmDb", "qImageFns", "utmQ")


@dataclass(frozen=True, eq=False)
class DbStruct:
    """A split.

    database, queries: photos relative to their folder. ..._utm (N, 2) float64: easting, northing in metres. ..._stamps
    (N,) float64: times, None if the struct has none. which: "train", "val", "test" or "".
    """

    database: list[str]
    database_utm: Array
    queries: list[str]
    queries_utm: Array
    database_stamps: Array | None = None
    queries_stamps: Array | None = None
    which: str = ""


def read_struct(path: str | os.PathLike[str]) -> DbStruct:
    """Read the struct in a .mat file of MATLAB 5 to 7, or of 7.3, which is HDF5.

    Raises PlacesError for another file, and for a field that is missing or not as long as its photos.
    """
    refuse_irregular(path, error=PlacesError)
    try:
        fields = (_version_73 if is_hdf5(path) else _version_5)(path)
    except (PlacesError, MemoryError):
        raise
    except KeyError:
        raise PlacesError("holds no struct dbStruct: another .mat file", path=path) from None
    except Exception as error:  # scipy, zlib and HDF5 each have their own
        raise PlacesError(f"cannot be read as a MATLAB file: {error}", path=path) from error
    missing = [name for name in _NEEDED if name not in fields]
    if missing:
        reason = f"dbStruct lacks {', '.join(missing)}; it has {', '.join(fields) or 'nothing'}"
        raise PlacesError(reason, path=path)
    struct = DbStruct(
        fields["dbImageFns"],
        fields["utmDb"],
        fields["qImageFns"],
        fields["utmQ"],
        fields.get("dbTimeStamp"),
        fields.get("qTimeStamp"),
        fields.get("whichSet", ""),
    )
    _same_length(path, "dbImageFns", struct.database, utmDb=struct.database_utm, dbTimeStamp=struct.database_stamps)
    _same_length(path, "qImageFns", struct.queries, utmQ=struct.queries_utm, qTimeStamp=struct.queries_stamps)
    return struct


def _same_length(path: str | os.PathLike[str], of: str, names: list[str], **columns: Array | None) -> None:
    for name, column in columns.items():
        if column is not None and len(column) != len(names):
            raise PlacesError(f"{name} has {len(column)} entries, {of} {len(names)}", path=path)


def _columns(name: str, value: Any) -> Array:
    columns = np.asarray(value, np.float64)
    if columns.ndim != 2 or (len(columns) != 2 and columns.size):
        raise ValueError(f"{name} is {' x '.join(map(str, columns.shape))}, not 2 x N")
    return columns.reshape(2, -1)


def _version_5(path: str | os.PathLike[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    check_sizes(path)
    struct = loadmat(path, variable_names=["dbStruct"])["dbStruct"]
    fields: dict[str, Any] = {}
    for name in struct.dtype.names or ():
        value = struct[name].flat[0]
        if name in ("dbImageFns", "qImageFns"):
            fields[name] = [str(np.asarray(cell).item()) for cell in value.ravel()]
        elif name in ("utmDb", "utmQ"):
            fields[name] = _columns(name, value).T
        elif name in ("dbTimeStamp", "qTimeStamp"):
            fields[name] = np.asarray(value, np.float64).ravel()
        elif name == "whichSet":
            fields[name] = str(value.item()) if value.size else ""
    return fields


def _version_73(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        import h5py
    except ImportError:
        raise PlacesError("is of MATLAB 7.3, which h5py reads: pip install 'netvlad[matlab]'", path=path) from None

    def text(codes: Any) -> str:
        if codes.size > LONGEST_TEXT:
            raise ValueError(f"{codes.name} is a text of {codes.size:,} characters")
        return "".join(map(chr, np.asarray(codes).ravel()))

    check_sizes(path)
    fields: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        for name, value in file["dbStruct"].items():
            if name in ("dbImageFns", "qImageFns"):
                fields[name] = [text(file[cell]) for cell in np.asarray(value).ravel()]
            elif name in ("utmDb", "utmQ"):
                fields[name] = _columns(name, np.asarray(value).T).T  # HDF5 has MATLAB's axes reversed
            elif name in ("dbTimeStamp", "qTimeStamp"):
                fields[name] = np.asarray(value, np.float64).ravel()
            elif name == "whichSet":
                fields[name] = text(value)
    return fields
