"""The authors' way to publish a split: a MATLAB struct `dbStruct` (Relja/netvlad, datasets/dbBase.m)."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from netvlad.errors import PlacesError

_NEEDED = ("dbImageFns", "utmDb", "qImageFns", "utmQ")


@dataclass(frozen=True, eq=False)
class DbStruct:
    """names: photos relative to their folder; utm (N, 2) float64: easting, northing in metres; stamps (N,) float64, or
    None where the struct has none; which: "train", "val", "test" or ""."""

    database: list[str]
    database_utm: np.ndarray
    queries: list[str]
    queries_utm: np.ndarray
    database_stamps: np.ndarray | None = None
    queries_stamps: np.ndarray | None = None
    which: str = ""


def read_struct(path: str | os.PathLike) -> DbStruct:
    """The struct in a .mat file of MATLAB's version 5 (or 7) or of 7.3, which is HDF5.

    Errors: PlacesError when the file is none, or a field is missing or of another length than its photos.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        mat = loadmat(path, variable_names=["dbStruct"])
        fields = _version_5(mat["dbStruct"])
    except NotImplementedError:  # what scipy says of version 7.3
        fields = _version_73(path)
    except KeyError:
        raise PlacesError(f"{path} holds no struct dbStruct: another .mat file") from None
    except (MatReadError, ValueError, TypeError, OSError, IndexError) as error:
        raise PlacesError(f"{path} cannot be read as a MATLAB file: {error}") from None
    missing = [name for name in _NEEDED if name not in fields]
    if missing:
        raise PlacesError(f"{path}: dbStruct lacks {', '.join(missing)}; it has {', '.join(fields) or 'nothing'}")
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


def _same_length(path, of: str, names: list[str], **columns) -> None:
    for name, column in columns.items():
        if column is not None and len(column) != len(names):
            raise PlacesError(f"{path}: {name} has {len(column)} entries, {of} {len(names)}")


def _columns(name: str, value) -> np.ndarray:
    value = np.asarray(value, np.float64)
    if value.ndim != 2 or (len(value) != 2 and value.size):
        raise ValueError(f"{name} is {' x '.join(map(str, value.shape))}, not 2 x N")
    return value.reshape(2, -1)


def _version_5(struct: np.ndarray) -> dict:
    fields = {}
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


def _version_73(path: str | os.PathLike) -> dict:
    try:
        import h5py
    except ImportError:
        raise PlacesError(f"{path} is of MATLAB 7.3, which h5py reads: pip install 'netvlad[matlab]'") from None

    def text(codes) -> str:
        return "".join(map(chr, np.asarray(codes).ravel()))

    fields = {}
    try:
        with h5py.File(path, "r") as file:
            for name, value in file["dbStruct"].items():
                if name in ("dbImageFns", "qImageFns"):
                    fields[name] = [text(file[cell]) for cell in np.asarray(value).ravel()]
                elif name in ("utmDb", "utmQ"):
                    fields[name] = _columns(name, np.asarray(value).T).T  # HDF5 turns MATLAB's axes around
                elif name in ("dbTimeStamp", "qTimeStamp"):
                    fields[name] = np.asarray(value, np.float64).ravel()
                elif name == "whichSet":
                    fields[name] = text(value)
    except KeyError:
        raise PlacesError(f"{path} holds no struct dbStruct: another .mat file") from None
    except (OSError, ValueError, AttributeError) as error:
        raise PlacesError(f"{path} cannot be read as a MATLAB 7.3 file: {error}") from None
    return fields
