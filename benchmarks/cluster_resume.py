"""How long `netvlad index` takes to find that a map in an object store agrees with its photos there.

    python benchmarks/cluster_resume.py --rows 1000000
    python benchmarks/cluster_resume.py --tables 20000000

The store is moto's, but for the photos: there are none, a listing just says that there are, 1,000 in each folder. Their
table is one Parquet file, and a folder of them by region. With --tables such a folder of so many rows is on the disk,
and is read alone, for a map that is not there (`--dry-run`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from object_store import ObjectStore

FOLDER = 1000  # photos, and entries of a page of a listing
BATCH = 100_000  # rows that are written at once
MODEL = "tf_efficientnet_lite0-max"
TIME = "2026-01-01T00:00:00.000Z"


class ManyPhotos(ObjectStore):
    """A store whose bucket `photos` holds what `address` names."""

    asked = 0

    def _counted(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].strip("/") != "photos" or "list-type=2" not in environ["QUERY_STRING"]:
            return super()._counted(environ, start_response)
        self.asked += 1
        prefix = urllib.parse.parse_qs(environ["QUERY_STRING"])["prefix"][0]
        folder = int(prefix.strip("/"))
        keys = (key(i) for i in range(folder * FOLDER, (folder + 1) * FOLDER))
        found = "".join(
            f'<Contents><Key>{name}</Key><LastModified>{TIME}</LastModified><ETag>"0"</ETag><Size>{size(name)}</Size>'
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for name in keys
        )
        answer = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>photos</Name><Prefix>{prefix}</Prefix><KeyCount>{FOLDER}</KeyCount><MaxKeys>{FOLDER}</MaxKeys>"
            f"<IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        ).encode()
        self.sent += len(answer)
        start_response("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(answer)))])
        return [answer]


def key(i: int) -> str:
    return f"{i // FOLDER:05d}/{i:08d}.jpg"


def size(name: str) -> int:
    return 50_000 + int(name[-12:-4]) % 9973


def places(first: int, n: int) -> Any:
    from netvlad.places import Places

    numbers = np.arange(first, first + n)
    paths = [f"s3://photos/{key(i)}" for i in numbers.tolist()]
    return Places.build(path=paths, lat=44 + numbers % 1000 / 200, lon=numbers // 1000 / 2000, heading=numbers % 360)


def build(rows: int, regions: int) -> None:
    """Write the map and the tables."""
    import netvlad
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.roots import Root
    from netvlad.maps.stamps import FileStamp
    from netvlad.places import write_places
    from netvlad.runtime.addresses import write_address

    with tempfile.TemporaryDirectory() as folder:
        cuts = np.linspace(0, rows, regions + 1).astype(int).tolist()
        tables = {f"parts/region={i}/part-0": places(a, b - a) for i, (a, b) in enumerate(pairwise(cuts))}
        for name, table in {"one": places(0, rows), **tables}.items():
            write_places(table, Path(folder, "t.parquet"))
            write_address(f"s3://maps/{name}.parquet", Path(folder, "t.parquet").read_bytes())
    index = PlaceIndex.create("s3://maps/map.vpr", netvlad.load(MODEL), root="s3://photos")
    index.sync(places(0, 1)[:0])  # records the root
    store, rng = index.store, np.random.default_rng(0)
    store.root = Root("s3://photos")
    mtime = int(np.datetime64(TIME[:-1], "ns").astype(int))
    for first in range(0, rows, BATCH):
        some = places(first, min(BATCH, rows - first))
        stamps = [FileStamp(size(path), mtime) for path in some.path]
        digests = [i.to_bytes(16, "big") for i in range(first, first + len(some))]
        vectors = rng.standard_normal((len(some), index.dim), dtype=np.float32)
        store.append(some, stamps, digests, vectors, source="s3://maps/parts")
    PlaceIndex.open("s3://maps/map.vpr").remove([])  # makes the search


def measured(command: list[str], wanted: str) -> str:
    """Seconds, processor time and memory of a command, which has to say what is `wanted`."""
    start = time.perf_counter()
    ran = subprocess.Popen([sys.executable, "-m", "netvlad", *command], stderr=subprocess.PIPE, text=True)
    said = ran.stderr.read() if ran.stderr else ""
    _, status, usage = os.wait4(ran.pid, 0)
    if status or wanted not in said:
        sys.exit(said)
    seconds, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    return f"{seconds:6.1f} s, {cpu:6.1f} s of the processor, {usage.ru_maxrss / 1024:6.0f} MiB"


def read_tables(rows: int) -> None:
    from netvlad.places import write_places

    with tempfile.TemporaryDirectory() as made:
        for region, first in enumerate(range(0, rows, 1_000_000)):
            file = Path(made, "parts", f"region={region}", "part-0.parquet")
            file.parent.mkdir(parents=True)
            write_places(places(first, min(1_000_000, rows - first)), file)
        command = ["index", f"{made}/parts", "--out", f"{made}/none.vpr", "--dry-run"]
        print(f"{rows:,} rows {measured(command, f'{rows} photos would be described')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--tables", type=int)
    given = parser.parse_args()
    if given.tables:
        read_tables(given.tables)
        return
    with tempfile.TemporaryDirectory() as made:
        os.environ["NETVLAD_CACHE"] = made
        store = ManyPhotos()
        store.start()
        store.make("maps")
        build(given.rows, given.regions)
        for table in ("one.parquet", "parts"):
            sent, asked = store.sent, store.asked
            command = ["index", f"s3://maps/{table}", "--out", "s3://maps/map.vpr"]
            told = measured(command, f"0 photos added, {given.rows} were in it")
            from_store = f"{store.asked - asked} listings, {(store.sent - sent) / 1e6:6.1f} MB from the store"
            print(f"{table:12} {told}, {from_store}", flush=True)
        store.stop()


if __name__ == "__main__":
    main()
