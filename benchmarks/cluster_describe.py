"""Photos a second of `netvlad index` on one machine and on Ray, in turns, and bytes that pass to and from a store.

    python benchmarks/cluster_describe.py out/demo/town/test/database/photos --rounds 3
    python benchmarks/cluster_describe.py out/demo/town/test/database/photos --store

Timed is what is added to a map that has photos already, so that no model is fitted, by the command's own clock: without
the start of Python and Ray. A worker of Ray has one core.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from object_store import ObjectStore

FIRST = 64  # photos that the map has before
WAYS = {
    "one machine": [],
    "Ray, 1 worker": ["--ray", "auto", "--ray-workers", "1"],
    "Ray, 2 workers": ["--ray", "auto", "--ray-workers", "2"],
}


def photos_of(source: Path, folder: Path, n: int) -> None:
    """A folder of n photos of `source`, with a table of places."""
    folder.mkdir()
    lines = ["path,lat,lon"]
    for i, photo in enumerate(sorted(source.rglob("*.jpg"))[:n]):
        shutil.copy(photo, folder / f"{i:05d}.jpg")
        lines.append(f"{i:05d}.jpg,{48 + i * 1e-4},2.3")
    (folder / "places.csv").write_text("\n".join(lines) + "\n")


def index(source: Path | str, out: Path | str, *options: str) -> tuple[int, float]:
    """Photos that `netvlad index` adds, and its seconds."""
    command = [sys.executable, "-m", "netvlad", "index", str(source), "--out", str(out), *options]
    ran = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"([\d,]+) photos? added.*-D, ([\d.]+) s", ran.stderr, re.DOTALL)
    if ran.returncode or not found:
        sys.exit(ran.stderr)
    return int(found[1].replace(",", "")), float(found[2])


def rates(source: Path, folder: Path, rounds: int, model: str) -> None:
    """Print photos a second of each way."""
    photos_of(source, folder / "few", FIRST)
    photos_of(source, folder / "photos", sys.maxsize)
    index(folder / "few", folder / "few.vpr", "--model", model)
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for way, options in list(WAYS.items())[:: 1 if turn % 2 else -1]:
            shutil.rmtree(folder / "a.vpr", ignore_errors=True)
            shutil.copytree(folder / "few.vpr", folder / "a.vpr")
            added, seconds = index(folder / "photos", folder / "a.vpr", *options)
            found[way].append(added / seconds)
            print(f"{way}: {added} photos in {seconds:.1f} s", flush=True)
    base = statistics.median(found["one machine"])
    print("\n| | photos/s | of one machine |\n|---|---|---|")
    for way, each in found.items():
        rate = statistics.median(each)
        print(f"| {way} | {rate:.2f} ({min(each):.2f} to {max(each):.2f}) | {rate / base:.2f} |")


def traffic(source: Path, folder: Path, model: str) -> None:
    """Print bytes to and from an object store that photos and map are in."""
    from netvlad.runtime.addresses import write_address

    store = ObjectStore()
    store.start()
    store.make("maps")
    os.environ["NETVLAD_CACHE"] = str(folder / "cache")
    photos_of(source, folder / "few", FIRST)
    photos_of(source, folder / "photos", sys.maxsize)
    files = [file for file in sorted((folder / "photos").iterdir()) if file.suffix == ".jpg"]
    there: set[str] = set()  # photos that are written anew are read anew
    for given in ("few", "photos"):
        for file in (folder / given).iterdir():
            if file.name not in there or file.suffix == ".csv":
                write_address(f"s3://maps/photos/{file.name}", file.read_bytes())
            there.add(file.name)
        if given == "few":
            index("s3://maps/photos", "s3://maps/a.vpr", "--model", model)
    store.sent = store.taken = 0
    added, seconds = index("s3://maps/photos", "s3://maps/a.vpr", *WAYS["Ray, 2 workers"])
    mean = statistics.mean(file.stat().st_size for file in files)
    print(f"{added} photos of {mean:,.0f} bytes in {seconds:.1f} s; for each {told(store, added)}")
    store.sent = store.taken = 0
    _, seconds = index("s3://maps/photos", "s3://maps/a.vpr")
    print(f"once more, with nothing to do: {seconds:.1f} s; for each {told(store, len(files))}")
    store.stop()


def told(store: ObjectStore, photos: int) -> str:
    return f"{store.sent / photos:,.0f} bytes from the store and {store.taken / photos:,.0f} to it"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="default")
    parser.add_argument("--store", action="store_true", help="photos and map in an object store: count bytes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.store:
            traffic(given.photos, Path(folder), given.model)
        else:
            rates(given.photos, Path(folder), given.rounds, given.model)


if __name__ == "__main__":
    main()
