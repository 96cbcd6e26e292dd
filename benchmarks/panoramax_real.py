"""Fetch, build, update and withdraw against the real Panoramax server, on this machine, with a drawn town's panoramas.

    python benchmarks/panoramax_real.py --server VENV --client VENV --town out/demo/town/test --work /tmp/panoramax

`geovisio_server.py` says what VENV is and what else is needed. The map that `netvlad map build` and `update` make from
the server and one of the town's own table of the same panoramas are asked for the town's phone pictures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from geovisio_server import address, start, token, upload, withdraw
from netvlad.imagery.area import Area
from netvlad.imagery.building import views_of
from netvlad.imagery.fetched import read_fetched
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.panoramax import Panoramax
from netvlad.imagery.picture import Picture
from netvlad.imagery.sources import open_source
from netvlad.maps.index import PlaceIndex
from netvlad.maps.where import Where
from netvlad.panoramas.cut_outs import write_cut_outs
from netvlad.places import Places, distance, is_within, read_places

LATER = 10  # panoramas that are uploaded after the map is built
LAYOUT = "tokyo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("server", "client", "town", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    work, client = given.work.absolute(), given.client.absolute()
    shutil.rmtree(work, ignore_errors=True)
    (work / "files").mkdir(parents=True)
    places = read_places(given.town / "panoramas.parquet")
    stop = start(given.server.absolute(), work)
    try:
        upload(client, places[: len(places) - LATER], work / "first")
        compare(places, work, token(given.server.absolute(), work))
        command(places, work, client)
        part(places[:1], work, client)
    finally:
        stop()
    shown = {picture.time.removesuffix("Z") for picture in read_fetched(work / "town-pictures")}
    same = places[[str(time) in shown for time in places.time]]
    print(
        f"{len(same)} of {len(places)} panoramas: one was withdrawn, and the client leaves out what is alike within 1 m"
    )
    recall(same, phone_pictures(given.town), work)


def part(panorama: Places, work: Path, client: Path) -> None:
    """Upload one that was tilted and lacks its lowest quarter, and print what the reader makes of it."""
    crop = {"FullPanoWidthPixels": 1024, "FullPanoHeightPixels": 512, "CroppedAreaLeftPixels": 0}
    crop |= {"CroppedAreaTopPixels": 0, "CroppedAreaImageWidthPixels": 1024, "CroppedAreaImageHeightPixels": 384}
    facts = {"PosePitchDegrees": 5.5, "PoseRollDegrees": -3, **crop}
    upload(client, panorama, work / "part", " ".join(f'GPano:{k}="{v}"' for k, v in facts.items()), bottom=128)
    area, folder = Area(Where(near=(float(panorama.lat[0]), float(panorama.lon[0]), 1.0))), work / "parts"
    reader = open_source("panoramax", address(), asset="hd")
    with reader.web:
        got = fetch(reader, find(reader, area, folder, metres=0.0), folder)
    (held,) = (picture for picture in got.pictures if any(picture.margins))
    print(f"held at {held.pitch} and {held.roll} degrees, lacks {held.margins}")
    views = views_of(folder, [held], LAYOUT, workers=0)
    print(f"cut into {len(views)} views, {sum(path.endswith('.webp') for path in views.path)} of them with holes")


def phone_pictures(town: Path) -> Places:
    """The queries of a drawn town."""
    places = read_places(town / "places.parquet")
    return places[places.split == "query"]


def command(places: Places, work: Path, client: Path) -> None:
    """Build a map by the command, upload more, update, and ask for what is told."""
    at, town = f"{places.lat[0]},{places.lon[0]},2km", str(work / "town.vpr")
    how = ("--url", address(), "--quality", "hd", "--thin", "0", "--layout", LAYOUT)
    built = netvlad("map", "build", "--around", at, *how, "--out", town, "--yes")
    print(built.splitlines()[-1])
    upload(client, places[len(places) - LATER :], work / "second")
    print(netvlad("map", "update", town, "--yes").splitlines()[-1])


def netvlad(*arguments: str) -> str:
    """What the command prints. Ends with it where it fails."""
    ran = subprocess.run([sys.executable, "-m", "netvlad", *arguments], capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"netvlad {' '.join(arguments)}: {ran.returncode}\n{ran.stderr[-2000:]}")
    return (ran.stdout + ran.stderr).strip()


def recall(panoramas: Places, queries: Places, work: Path) -> None:
    """Recall@1 within 25 m of phone pictures in the server's map, and in one of the town's own panoramas.

    Both have the model of the first: the default one learns its centres from the photos of a map.
    """
    write_cut_outs(panoramas, work / "own", LAYOUT)
    model = str(work / "town.vpr" / "model")
    netvlad("index", str(work / "own" / "places.parquet"), "--out", str(work / "own.vpr"), "--model", model)
    for name in ("town.vpr", "own.vpr"):
        index = PlaceIndex.open(work / name)
        ranking = index.rank(queries.path.tolist(), 1)
        right = is_within(queries, index.places, ranking.ids, 25.0)[:, 0]
        print(f"{name}: {len(index)} views, recall@1 {right.sum()} of {len(queries)} phone pictures")


def compare(places: Places, work: Path, key: str) -> None:
    """Fetch, compare with the truth, filter by date, withdraw, fetch again; prints what was found."""
    area = Area(Where(near=(float(places.lat[0]), float(places.lon[0]), 2000.0)))
    folder = work / "photos"
    reader = open_source("panoramax", address(), asset="hd")
    with reader.web:
        found = find(reader, area, folder, metres=0.0)
        got = fetch(reader, found, folder)
        again = fetch(reader, find(reader, area, folder, metres=0.0), folder)
        print(
            f"{len(got.pictures)} fetched of {len(places) - LATER}; left out {dict(found.left_out)}; again {again.new}"
        )
        rows = {str(time): row for row, time in enumerate(places.time)}
        truth = places[[rows[picture.time.removesuffix("Z")] for picture in got.pictures]]
        check_pictures(got.pictures, truth)
        gone = got.pictures[0]
        item = reader.web.ask(f"{address()}/api/search", {"ids": [gone.id], "limit": 1})["features"][0]
        (work / "item.json").write_text(json.dumps(item, indent=1))
        fields(item)
        print(f"item that is told withdrawn: {withdraw(gone.id, item['collection'], key)}")
        found = find(reader, area, folder, metres=0.0)
        print(f"withdrawn found: {[p.id for p in found.withdrawn] == [gone.id]}")
        fetch(reader, found, folder)
        print(f"in the folder afterwards: {len(read_fetched(folder))}")
        quarters = Panoramax(reader.web, asset="hd", limit=3)
        print(f"in boxes of 3: {len(list(quarters.search(area.boxes())))}")
        middle = places.time[len(places) // 2]  # the first picture of the second date
        for span in ({"before": middle}, {"after": middle}):
            dated = find(reader, Area(replace(area.where, **span)), work / "dated", metres=0.0).pictures
            print(f"{span}: {len(dated)} pictures, {min(p.time for p in dated)} to {max(p.time for p in dated)}")


def check_pictures(pictures: list[Picture], truth: Places) -> None:
    """Say how far pictures are from the truth (N,), each of which is theirs."""
    at = Places.build(path=truth.path, lat=np.array([p.lat for p in pictures]), lon=np.array([p.lon for p in pictures]))
    turn = abs((np.array([p.heading for p in pictures]) - truth.heading + 180) % 360 - 180)
    print(f"farthest from the truth: {distance(at, truth).max():.2f} m, {turn.max():.2f} degrees")
    assert all(p.whole and p.licence == "etalab-2.0" and p.credit for p in pictures), pictures


def fields(item: dict) -> None:
    """Compare the fields of an item with those of the stand-in that the tests use."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from fixtures.panoramax import Standin

    standin = Standin()
    standin.add("a", **{"original_file:size": 1})
    made = standin.items["a"]
    standin.server_close()
    for part, real, ours in (("item", item, made), ("properties", item["properties"], made["properties"])):
        odd = {
            k: (type(ours[k]).__name__, type(real.get(k)).__name__) for k in ours if not _alike(ours[k], real.get(k))
        }
        print(f"{part}: {len(ours)} fields of the stand-in, {len(odd)} of another kind on the server {odd}")


def _alike(a: object, b: object) -> bool:
    numbers = (int, float)
    return type(a) is type(b) or (isinstance(a, numbers) and isinstance(b, numbers))


if __name__ == "__main__":
    main()
