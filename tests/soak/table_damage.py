"""Damage to tables that knows their formats, and undamaged .mat and YAML files."""

from __future__ import annotations

import csv
import datetime
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from soak.mutate import VALUES, Rng, damage, damage_json, pick

CELLS = (
    "", " ", "nan", "inf", "-inf", "1e400", "0x10", "1_0", "31,26", "31°15'43\"N", "９", "-0", "91", "181", "1e308",
    "\x00", "\x1b[31m", 'a"b', "a;b", "=1+1", "x" * 3000, "2025-13-01", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "null", "None", "1e-400", "9" * 400, "é\u202e",
)  # fmt: skip


def damage_cells(source: Path, target: Path, rng: Rng) -> int:
    """A CSV in which one to six cells are others; returns its number of rows that hold anything."""
    with open(source, newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file))
    for _ in range(int(rng.integers(1, 7))):
        pick(rng, rows)[int(rng.integers(len(head)))] = pick(rng, CELLS)
    if rng.random() < 0.3:  # cut off, or with a cell too many
        at = int(rng.integers(len(rows)))
        rows[at] = pick(rng, (rows[at][:3], [*rows[at], "1"], rows[at] * 2))
    if rng.random() < 0.2:
        rows.insert(int(rng.integers(len(rows))), pick(rng, rows))
    with open(target, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator=pick(rng, ("\n", "\r\n"))).writerows([head, *rows])
    return sum(any(row) for row in rows)


def odd_text(seed: bytes, rng: Rng) -> bytes:
    """Text of another encoding, with one enormous or open cell, with very many columns, or with none."""
    text = seed.decode()
    head = text.splitlines()[0]
    return pick(
        rng,
        (
            lambda: text.encode(pick(rng, ("utf-16", "utf-32", "utf-8-sig", "utf-16-be"))),
            lambda: text.replace("31", "é").encode("latin-1", "replace"),
            lambda: (head + '\n"' + "a" * int(pick(rng, (1000, 200_000, 3_000_000)))).encode(),
            lambda: (",".join(f"c{i}" for i in range(50_000)) + "\n" + "1," * 49_999 + "1\n").encode(),
            lambda: (",".join(["lat"] * 2000) + "\n").encode(),
            lambda: (head + "\n").encode(),
            lambda: b"\n" * int(pick(rng, (1, 100_000))),
            lambda: b"\x00" * 10_000,
            lambda: (text.replace(",", pick(rng, (";", "\t", "|", ",,")))).encode(),
            lambda: b"[" * int(pick(rng, (1000, 300_000))),
            lambda: b'{"features": [' + b"1," * 50_000 + b"1]}",
            lambda: b'{"type": "FeatureCollection", "features": [{"geometry": ' + b'{"a":' * 100_000,
            lambda: b"",
        ),
    )()


def damage_features(content: dict[str, Any], rng: Rng) -> tuple[str, int | None]:
    """GeoJSON with values replaced, and its number of features, each of which is a row."""
    content = damage_json(content, rng, (*VALUES, [1e308, 1e308], [34.8], [34.8, 31.2, 5, 6], ["34.8", "31.2"]))
    if isinstance(content, dict) and rng.random() < 0.2:
        content["crs"] = pick(
            rng,
            (
                None,
                1,
                "EPSG:9",
                {"properties": {"name": "EPSG:32636"}},
                {"properties": 3},
                {"properties": {"name": []}},
            ),
        )
    features = content.get("features") if isinstance(content, dict) else None
    return json.dumps(content), len(features) if isinstance(features, list) else None


def odd_parquet(source: Path, target: Path, rng: Rng) -> int:
    """Parquet with columns of other types, renamed, left out or twice; returns its number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(source)
    n, metadata = table.num_rows, dict(table.schema.metadata or {})
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(table.num_columns))
        name = table.column_names[at]
        action = rng.random()
        if action < 0.65:
            table = table.set_column(at, name, pick(rng, _odd_columns(n)))
        elif action < 0.8 and table.num_columns > 1:
            table = table.remove_column(at)
        elif action < 0.9:
            table = table.append_column(name, table.column(at))
        else:
            table = table.rename_columns(
                [*table.column_names[:at], pick(rng, ("", "x", "LAT", "\x1b")), *table.column_names[at + 1 :]]
            )
    if rng.random() < 0.25:
        geo = damage_json(json.loads(metadata.get(b"geo", b"{}")), rng)
        metadata[b"geo"] = pick(rng, (json.dumps(geo).encode(), b"[", b"[" * 50_000, b"null", b"\xff"))
    table = table.replace_schema_metadata(metadata)
    if rng.random() < 0.05:  # a small file that unfolds to very many rows
        n = 50_000_000
        table = pa.table({"path": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int8)), pa.array(["a.jpg"]))})
        table = table.append_column("lat", pa.array(np.full(n, 31.0, np.float32)))
    pq.write_table(table, target)
    return n


def _odd_columns(n: int) -> list[Any]:
    import pyarrow as pa

    return [
        pa.array([[1.0]] * n),
        pa.array([{"a": 1}] * n),
        pa.nulls(n),
        pa.array([b"\x00\xff"] * n),
        pa.array([b"\x01\x01\x00\x00\x00"] * n),
        pa.array(["text"] * n).dictionary_encode(),
        pa.array([None, *["1"] * (n - 1)]),
        pa.array([True] * n),
        pa.array([10**15] * n).cast(pa.decimal128(30, 5)),
        pa.array([datetime.date(1, 1, 1)] * n),
        pa.array([-(2**62)] * n, pa.timestamp("us")),
        pa.array([2**62] * n, pa.timestamp("ms")),
        pa.array([-(2**62)] * n, pa.timestamp("ms", "UTC")),
        pa.array([datetime.time(1)] * n),
        pa.array([2**62] * n, pa.duration("s")),
        pa.array([np.nan, np.inf, -np.inf, *[1e300] * (n - 3)]),
        pa.array([np.float16(1)] * n, pa.float16()),
        pa.array([2**64 - 1] * n, pa.uint64()),
        pa.array([["a", None]] * n),
        pa.array([[(1, "x")]] * n, pa.map_(pa.int64(), pa.string())),
        pa.array(["x" * 2000] * n),
    ]


def odd_yaml(seed: bytes, rng: Rng) -> bytes:
    """YAML with damaged bytes, odd keys, deep nesting, or aliases that unfold to billions."""
    aliases = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    return pick(
        rng,
        (
            lambda: damage(seed, rng)[0],
            lambda: damage(seed, rng)[0],
            lambda: aliases.encode(),
            lambda: ("batch: " + "[" * 20_000).encode(),
            lambda: ("batch: " + "[" * 3000 + "]" * 3000).encode(),
            lambda: ("- " * 5000).encode(),
            lambda: (
                seed
                + pick(
                    rng, (b"\n2: 3\n", b"\n2025-01-01: 1\n", b"\n? [1, 2]\n: 3\n", b"\nnull: 1\n", b"\n? {a: b}\n: 1")
                )
            ),
            lambda: seed + b"\nbatch: 4\nbatch: 5\n",
            lambda: (
                b"batch: " + pick(rng, (b"9" * 6000, b"1e999", b".nan", b"!!python/object:os.system x", b"2025-99-99"))
            ),
            lambda: b"lr: " + pick(rng, (b".inf", b"-1", b"[]", b"0x" + b"f" * 5000, b"190:20:30", b"!!binary aaa")),
            lambda: b"preset: x\n\x00",
        ),
    )()


# -- undamaged files --------------------------------------------------------------------------------------------------


def _cell(*items: Any) -> np.ndarray:
    array = np.empty((1, len(items)), dtype=object)
    for i, item in enumerate(items):
        array[0, i] = item
    return array


def _save_mat(content: dict[str, Any], packed: bool) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        from scipy.io import savemat

        out = io.BytesIO()
        savemat(out, content, do_compression=packed)
        path.write_bytes(out.getvalue())

    return write


def _write_hdf5(path: Path) -> None:
    """A v7.3 file, without MATLAB's own header."""
    import h5py

    with h5py.File(path, "w") as file:
        net = file.create_group("net")
        net.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, value in (("weights", np.eye(4, dtype=np.float32)), ("stride", np.ones((1, 2)))):
            net.create_dataset(name, data=value).attrs["MATLAB_class"] = np.bytes_("single")


_NAMES = [f"{i:03}.jpg" for i in range(6)]
_STRUCT = {
    "dbStruct": {
        "dbImageFns": _cell(*_NAMES).T, "utmDb": np.arange(12.0).reshape(2, 6), "qImageFns": _cell(*_NAMES[:3]).T,
        "utmQ": np.arange(6.0).reshape(2, 3), "dbTimeStamp": np.arange(6.0), "whichSet": "val",
    }
}  # fmt: skip
_LAYER = {"type": "conv", "name": "conv1", "weights": _cell(np.ones((3, 3, 3, 4), np.float32), np.ones(4, np.float32))}
_NET = {"net": {"layers": _cell(_LAYER, {"type": "relu", "name": "relu1"}), "meta": {"netID": "vd16"}}}
WRITERS: dict[str, Callable[[Path], None]] = {
    "struct.mat": _save_mat(_STRUCT, False),
    "struct-packed.mat": _save_mat(_STRUCT, True),
    "net.mat": _save_mat(_NET, False),
    "net-packed.mat": _save_mat(_NET, True),
    "net-hdf5.mat": _write_hdf5,
    "seed.yaml": lambda path: (
        path.write_text("epochs: 3\nbatch: 4\nlr: 0.001\nmargin: 0.1\nloss: triplet\nwarm_up: 0.5\n") and None
    ),
}
