"""Tiny trees in the published layouts."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat


@pytest.fixture
def protocols() -> Path:
    """Folder of real positions of Pittsburgh 30k test and Tokyo 24/7, without photos."""
    shared = Path(os.environ.get("NETVLAD_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (shared / "protocols").is_dir():
        pytest.skip(f"needs the real files of {shared / 'protocols'}, which are not here")
    return shared / "protocols"


@pytest.fixture
def touch():
    """touch(root, *names): empty files where readers look for photos."""

    def make(root: Path, *names: str) -> None:
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


@pytest.fixture
def write_struct():
    """write_struct(path, version, fields): a struct dbStruct as MATLAB saves it with -v6 or with -v7.3.

    Fields are lists of str (cells, a column), str, and arrays of 2 x N or numbers.
    """

    def cells(texts: list[str]) -> np.ndarray:
        column = np.empty((len(texts), 1), object)
        column[:, 0] = texts
        return column

    def write_5(path: Path, fields: dict) -> None:
        savemat(path, {"dbStruct": {k: cells(v) if isinstance(v, list) else v for k, v in fields.items()}})

    def write_73(path: Path, fields: dict) -> None:
        with h5py.File(path, "w", userblock_size=512) as file:
            group = file.create_group("dbStruct")
            for name, value in fields.items():
                if isinstance(value, list):
                    refs = np.empty((1, len(value)), h5py.ref_dtype)
                    for i, text in enumerate(value):
                        at = f"#refs#/{name}{i}"
                        file[at] = np.array([[ord(c)] for c in text], np.uint16)
                        refs[0, i] = file[at].ref
                    group.create_dataset(name, data=refs, dtype=h5py.ref_dtype)
                elif isinstance(value, str):
                    group[name] = np.array([[ord(c)] for c in value], np.uint16)
                else:
                    group[name] = np.atleast_2d(value).T  # HDF5 turns MATLAB's axes around
        with open(path, "r+b") as file:
            head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Nov 23 2015 HDF5 schema 1.00 ."
            file.write(head.ljust(124) + b"\x00\x02IM")

    def write(path: Path, version: str, fields: dict) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        {"5": write_5, "7.3": write_73}[version](path, fields)

    return write
