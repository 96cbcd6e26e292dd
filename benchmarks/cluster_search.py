"""A map in shards, asked with and without a region: on the disk, in an object store, by Ray Serve. A Markdown row each.

    python benchmarks/cluster_search.py FOLDER --rows 1000000 --real real.npz --shards 1 2 4 8 [--s3] [--ray]

FOLDER keeps the map and its shards, so that a run that was interrupted goes on. real.npz: descriptors of real photos,
see scale_vectors.py. Towns of 10,000 photos, some 5 km wide, are spread over a country. Asked are real queries, one at
a time: in a town, in a district, and everywhere; recall is of the 10 nearest everywhere, against exact search. The
first question is asked by a new process. --s3: the shards are at moto's server of S3 on this machine, and that process
has no copy. --ray: each shard is searched by a replica of Ray Serve on this machine. A row has, each in a town, in a
district and everywhere: seconds of the first question, milliseconds of later ones (median), and those of the processor
in the process that asks (mean), with one thread for each shard; recall; and MiB of each process that searches, without
mapped files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench_scale import BATCH, K, recall, truth
from object_store import ObjectStore
from scale_vectors import Drawn

ASKED = 50
TOWN = 10_000


class Vectors:
    """The model of a map that is asked with vectors alone."""

    name = identity = method = "vectors"
    dim, resize, smallest, takes_masks, ready = 512, None, 1, False, True
    architecture: ClassVar[dict[str, object]] = {}

    def describe(self, images) -> np.ndarray:
        raise NotImplementedError("vectors are given")

    def save(self, folder: Path) -> Path:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "card.json").write_text("{}")
        return folder


def made(folder: Path, drawn: Drawn, rows: int):
    """The map of `rows` photos in `folder`, made where it is not there."""
    from netvlad.maps.calibration_file import write_calibration
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.manifest import read_manifest, write_manifest
    from netvlad.maps.stamps import FileStamp
    from netvlad.places import Places
    from netvlad.search.options import SearchOptions

    there = (folder / "manifest.json").exists()
    index = PlaceIndex.open(folder, Vectors()) if there else PlaceIndex.create(folder, Vectors())
    write_manifest(folder, replace(read_manifest(folder), search=SearchOptions("compressed")))
    for first in range(len(index), rows, BATCH):
        lat, lon = positions(first, BATCH)
        path = [f"/photos/{i // 1000:05d}/{i:09d}.jpg" for i in range(first, first + BATCH)]
        digests = [i.to_bytes(16, "big") for i in range(first, first + BATCH)]
        places = Places.build(path=path, lat=lat, lon=lon)
        index.store.append(places, [FileStamp(0, 0)] * BATCH, digests, drawn.draw(first, BATCH))
        print(f"{first + BATCH} rows", file=sys.stderr, flush=True)
    write_calibration(folder / "calibration.json", index.store, None, "it is not learnt here")
    return index


def positions(first: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes of rows: towns over a country of 900 x 900 km."""
    rng = np.random.default_rng([9, first])
    centres = rng.uniform((43, -1), (50, 7), (n // TOWN, 2)).repeat(TOWN, axis=0)
    spread = rng.normal(size=(n, 2)) * (0.02, 0.03)
    return (centres + spread).T


def regions() -> dict[str, Any]:
    """What is asked for: a town, a district of 300 x 300 km, everywhere."""
    from netvlad.maps.where import ALL, Where

    lat, lon = positions(0, TOWN).mean(axis=1).tolist()
    district = (lon - 2, lat - 1.35, lon + 2, lat + 1.35)
    return {"town": Where(near=(lat, lon, 10_000)), "district": Where(bbox=district), "all": ALL}


def ask(place: str, real: Path, on_ray: bool) -> dict[str, Any]:
    """Times of the first question and of later ones, what was found, and memory, of a process that asks first."""
    os.environ["OMP_NUM_THREADS"] = "1"  # as in a replica of Ray Serve; read when faiss is loaded
    from netvlad.maps.remote import fetch
    from netvlad.maps.sharded import open_snapshot, shard_searches

    queries = Drawn(real).queries
    queries = queries[np.random.default_rng(1).permutation(len(queries))[:ASKED]]
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        start = time.perf_counter()
        folder = fetch(place)
        searches = None
        if on_ray:
            from netvlad.cluster.searching import deployed

            searches = stack.enter_context(deployed("auto", "map", shard_searches(folder), 1))
            found["deploy_s"] = time.perf_counter() - start
        start = time.perf_counter()
        snapshot = open_snapshot(folder, searches=searches)
        for name, where in regions().items():
            mask = snapshot.mask(where) if where else None
            if mask is not None:
                mask.flags.writeable = False
            snapshot.searched.search(queries[:1], K, mask)
            first, times, cpu, rows = time.perf_counter() - start, [], time.process_time(), []
            for query in queries:
                start = time.perf_counter()
                rows.append(snapshot.searched.search(query[None], K, mask)[1][0].tolist())
                times.append(1e3 * (time.perf_counter() - start))
            cpu = 1e3 * (time.process_time() - cpu) / len(queries)
            photos = len(snapshot.store) if mask is None else int(mask.sum())
            found[name] = {"photos": photos, "first_s": first, "ms": times, "cpu_ms": cpu, "rows": rows}
            start = time.perf_counter()
        found["mib"] = replica_mib() if on_ray else [anonymous_mib("self")]
    if not (on_ray or "://" in place):
        found["recall"] = recall(found["all"]["rows"], truth(snapshot.store, queries))
    return found


def anonymous_mib(process: str) -> float:
    """Memory of a process without mapped files, which the system may drop (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def replica_mib() -> list[float]:
    titles = {file.parent.name: file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline")}
    return [anonymous_mib(process) for process, title in titles.items() if b"ServeReplica:map-" in title]


def uploaded(folder: Path, address: str) -> None:
    from netvlad.runtime.addresses import write_address

    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix not in (".faiss", ".vectors") and not file.name.startswith("."):
            write_address(f"{address}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def asked_anew(place: str, real: Path, cache: str, *more: str) -> dict[str, Any]:
    """`ask` in a new process."""
    command = [sys.executable, __file__, place, "--real", str(real), "--ask", *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, env={**os.environ, "NETVLAD_CACHE": cache}, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(name: str, found: dict[str, Any], recalled: float) -> str:
    each = [found[where] for where in ("town", "district", "all")]
    first = " / ".join(f"{one['first_s']:.2f}" for one in each)
    warm = " / ".join(f"{np.median(one['ms']):.0f}" for one in each)
    busy = " / ".join(f"{one['cpu_ms']:.0f}" for one in each)
    mib = ", ".join(f"{one:.0f}" for one in sorted(found["mib"]))
    return f"| {name} | {first} | {warm} | {busy} | {recalled:.3f} | {mib} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        print(json.dumps(ask(given.folder, given.real, given.ray)))
        return
    from netvlad.maps.sharding import write_shards

    folder = Path(given.folder)
    whole = folder / f"{given.rows}.vpr"
    index = made(whole, Drawn(given.real), given.rows)
    store = ObjectStore()
    if given.s3:
        store.start()
        store.make("maps")
    for shards in given.shards:
        place, start = folder / f"{given.rows}-{shards}.shards", time.process_time()
        if shards == 1:
            place = whole
        elif not place.exists():
            write_shards(index, place, shards)
            print(
                f"cut into {shards}: {time.process_time() - start:.0f} s of the processor", file=sys.stderr, flush=True
            )
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            here = asked_anew(str(place), given.real, cache)
            print(row(f"{shards}, disk", here, here["recall"]), flush=True)
            if given.ray and shards > 1:
                found = asked_anew(str(place), given.real, cache, "--ray")
                assert found["all"]["rows"] == here["all"]["rows"]
                print(row(f"{shards}, Ray Serve ({found['deploy_s']:.0f} s)", found, here["recall"]), flush=True)
            if given.s3 and shards > 1:
                in_store(place, given.real, cache, here, shards)


def in_store(place: Path, real: Path, cache: str, here: dict[str, Any], shards: int) -> None:
    """Upload a map to the object store, and ask it there."""
    address = f"s3://maps/{place.name}"
    uploaded(place, address)
    found = asked_anew(address, real, cache)
    assert found["all"]["rows"] == here["all"]["rows"]
    print(row(f"{shards}, S3, nothing here", found, here["recall"]), flush=True)
    again = asked_anew(address, real, cache)
    print(row(f"{shards}, S3, searches in the cache", again, here["recall"]), flush=True)


if __name__ == "__main__":
    main()
