"""Files of MATLAB that lie about their sizes."""

from __future__ import annotations

import struct
import time
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from netvlad.benchmarks.dbstruct import read_struct
from netvlad.errors import ModelError, PlacesError
from netvlad.pretrained.matlab import read_mat
from netvlad.runtime.mat_files import check_sizes

h5py = pytest.importorskip("h5py", reason="needs h5py: pip install 'netvlad[matlab]'")
HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(kind: int, shape: tuple[int, ...], *parts: bytes, name: bytes = b"dbStruct") -> bytes:
    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, head + element(1, name) + b"".join(parts))


def compressed(data: bytes) -> bytes:
    packed = zlib.compress(data, 9)
    return struct.pack("<II", 15, len(packed)) + packed


def zeros(n: int) -> bytes:
    """A compressed array of n bytes, packed piece by piece."""
    pack = zlib.compressobj(9)
    head = element(6, struct.pack("<II", 9, 0)) + element(5, struct.pack("<2i", 1, n)) + element(1, b"dbStruct")
    packed = pack.compress(struct.pack("<II", 14, n + len(head) + 8) + head + struct.pack("<II", 2, n))
    block = bytes(1 << 20)
    packed += b"".join(pack.compress(block) for _ in range(n >> 20)) + pack.flush()
    return struct.pack("<II", 15, len(packed)) + packed


def nested(depth: int) -> bytes:
    """A cell in a cell in a cell."""
    heads = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<2i", 1, 1)) + element(1, b"")
    size, parts = 0, []
    for _ in range(depth):
        size += len(heads)
        parts.append(struct.pack("<II", 14, size) + heads)
        size += 8
    return b"".join(reversed(parts))


LIES = {
    "cells": matrix(1, (1_000_000, 1_000_000)),
    "structs": matrix(2, (30_000, 30_000), element(5, struct.pack("<i", 8)), element(1, b"a\0\0\0\0\0\0\0")),
    "structs without fields": matrix(2, (30_000, 30_000), element(5, struct.pack("<i", 8)), element(1, b"")),
    "text": matrix(4, (1_000_000, 1_000_000), element(4, b"")),
    "numbers": matrix(6, (100_000, 100_000), element(9, bytes(16))),
    "negative": matrix(1, (-1, 5)),
    "longer than the file": matrix(6, (1, 1), struct.pack("<II", 9, 2**31 - 1)),
    "cut off": struct.pack("<II", 14, 10**9) + bytes(100),
    "compressed cells": compressed(matrix(1, (1_000_000, 1_000_000))),
    "a bomb": zeros(1 << 28),
    "deep": nested(20_000),
    "deep and compressed": compressed(nested(20_000)),
    "half of a compressed part": compressed(matrix(6, (1, 99), element(9, bytes(99 * 8))))[:40],
    "no zlib": struct.pack("<II", 15, 16) + b"x" * 16,
    "nothing": b"",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_at_once(tmp_path, lie):
    path = tmp_path / "a.mat"
    path.write_bytes(HEAD + LIES[lie])
    start = time.process_time()
    with pytest.raises(PlacesError):
        read_struct(path)
    with pytest.raises(ModelError):
        read_mat(path, "dbStruct")
    assert time.process_time() - start < 5


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_understood(tmp_path, order):
    def part(kind, data):
        return struct.pack(order + "II", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    def write(n: int) -> None:
        head = part(6, struct.pack(order + "II", 1, 0)) + part(5, struct.pack(order + "2i", n, n)) + part(1, b"net")
        mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
        (tmp_path / "a.mat").write_bytes(HEAD[:124] + mark + part(14, head))

    write(0)
    check_sizes(tmp_path / "a.mat")
    write(100_000)
    with pytest.raises(ValueError, match="100000 x 100000"):
        check_sizes(tmp_path / "a.mat")


def test_what_is_honest_passes(tmp_path):
    cell = np.empty((2000, 1), object)
    cell[:, 0] = [np.zeros((0, 0)), "text"] * 1000
    inner = np.zeros((30, 100), [("a", object), ("b", object)])
    plain = {"cell": cell, "struct": inner, "empty": {}, "numbers": np.arange(5000), "text": "é" * 2000, "flag": True}
    for do_compression in (True, False):
        savemat(tmp_path / "a.mat", {"net": plain, "x": np.ones((300, 300))}, do_compression=do_compression)
        check_sizes(tmp_path / "a.mat")
        assert len(read_mat(tmp_path / "a.mat", "net")["cell"]) == 2000


# -- version 7.3 --------------------------------------------------------------------------------------------------


def write_hdf5(path, fill) -> None:
    with h5py.File(path, "w") as file:
        net = file.create_group("net")
        net.attrs["MATLAB_class"] = np.bytes_("struct")
        fill(file, net)
        file["dbStruct"] = net


def huge(file, net):  # never written, so that the file has a few hundred bytes
    made = net.create_dataset("huge", (100_000, 100_000), "f8", chunks=(1000, 1000))
    made.attrs["MATLAB_class"] = np.bytes_("double")


def bomb(file, net):
    net.create_dataset("bomb", data=np.zeros(2**24), compression="gzip").attrs["MATLAB_class"] = np.bytes_("double")


def empty(file, net):
    net["empty"] = np.array([10**6, 10**6], np.uint64)
    net["empty"].attrs["MATLAB_empty"] = np.uint8(1)
    net["empty"].attrs["MATLAB_class"] = np.bytes_("double")


def cells_of(file, place, item, n):
    made = file.create_dataset(place, (n, 1), h5py.ref_dtype)
    made.attrs["MATLAB_class"] = np.bytes_("cell")
    made[:] = [[item.ref]] * n
    return made


def circle(file, net):
    made = cells_of(file, "net/circle", net, 1)
    made[0, 0] = made.ref


def itself(file, net):
    net["itself"] = net


@pytest.mark.parametrize("fill", [huge, bomb, empty, circle, itself])
def test_hdf5_that_lies_or_runs_in_a_circle(tmp_path, fill):
    write_hdf5(tmp_path / "a.mat", fill)
    start = time.process_time()
    with pytest.raises(ModelError):
        read_mat(tmp_path / "a.mat", "net")
    with pytest.raises(PlacesError):
        read_struct(tmp_path / "a.mat")
    assert time.process_time() - start < 5


def test_cells_that_name_the_same_cells_are_read_once(tmp_path):
    def laughs(file, net):
        item = file.create_dataset("#refs#/0", data=np.ones((1, 1)))
        item.attrs["MATLAB_class"] = np.bytes_("double")
        for level in range(1, 12):
            item = cells_of(file, f"#refs#/{level}", item, 10)
        net["laughs"] = item

    write_hdf5(tmp_path / "a.mat", laughs)
    start = time.process_time()
    assert len(read_mat(tmp_path / "a.mat", "net")["laughs"]) == 10
    assert time.process_time() - start < 5


# -- anything -----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(where=st.integers(0, 10**4), what=st.binary(min_size=1, max_size=4), drop=st.booleans(), packed=st.booleans())
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_are_read_or_refused(tmp_path_factory, where, what, drop, packed):
    path = tmp_path_factory.mktemp("m") / "a.mat"
    cell = np.empty((3, 1), object)
    cell[:, 0] = ["a.jpg", "b.jpg", "c.jpg"]
    utm = np.array([[1.0, 2, 3], [4, 5, 6]])
    fields = {"dbImageFns": cell, "utmDb": utm, "qImageFns": cell, "utmQ": utm, "whichSet": "val"}
    savemat(path, {"dbStruct": fields}, do_compression=packed)
    content = path.read_bytes()
    where = 116 + where % (len(content) - 116)
    path.write_bytes(content[:where] if drop else content[:where] + what + content[where + len(what) :])
    for read, error in ((read_struct, PlacesError), (lambda p: read_mat(p, "dbStruct"), ModelError)):
        with suppress(error):
            read(path)
