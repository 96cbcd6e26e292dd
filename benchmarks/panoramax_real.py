"""Build, update and withdraw a map against the real Panoramax server, on this machine, with a drawn town's panoramas.

    python benchmarks/panoramax_real.py --server VENV --client VENV --town out/demo/town/test --work /tmp/panoramax

VENV: environments of their own with `geovisio` (2.15) and with `panoramax-cli`, which need other versions than this
project. PostgreSQL 15 with PostGIS comes from the system (Debian: postgresql-15-postgis-3); its processes run as the
user `postgres` where this one is root. Everything is started on loopback and ended again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from netvlad.imagery.fetched import read_fetched
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.panoramax import Panoramax
from netvlad.imagery.sources import open_source
from netvlad.maps.where import Where
from netvlad.places import Places, read_places

DATABASE, API = 5499, 5498  # ports
BIN = Path("/usr/lib/postgresql/15/bin")
LICENCE = "https://www.etalab.gouv.fr/licence-ouverte-open-licence/"
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:ProjectionType="equirectangular"
GPano:UsePanoramaViewer="True" GPano:PoseHeadingDegrees="{heading}"/></rdf:RDF></x:xmpmeta>"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("server", "client", "town", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--panoramas", type=int, default=12)
    given = parser.parse_args()
    work = given.work.absolute()
    shutil.rmtree(work, ignore_errors=True)
    (work / "files").mkdir(parents=True)
    places = read_places(given.town / "panoramas.parquet")[: given.panoramas]
    stop = start(given.server.absolute(), work)
    try:
        upload(given.client.absolute(), places[: len(places) - 2], work / "first")
        compare(places, work, token(given.server.absolute(), work))
        command(places, work, given.client.absolute())
    finally:
        stop()


def command(places: Places, work: Path, client: Path) -> None:
    """Build a map by the command, upload more, update, and locate with it."""
    at, town = f"{places.lat[0]},{places.lon[0]},2km", str(work / "town.vpr")

    def netvlad(*arguments: str) -> str:
        ran = subprocess.run([sys.executable, "-m", "netvlad", *arguments], capture_output=True, text=True, check=True)
        return (ran.stdout + ran.stderr).strip()

    built = netvlad("map", "build", "--around", at, "--url", address(), "--thin", "0", "--out", town, "--yes")
    print(built.splitlines()[-1])
    upload(client, places[len(places) - 2 :], work / "second")
    print(netvlad("map", "update", town, "--yes").splitlines()[-1])
    view = next((work / "town-pictures" / "cutouts" / "photos").glob("*_h090_p04.jpg"))
    print(netvlad("locate", str(view), "--index", town, "--top", "1"))


def start(server: Path, work: Path) -> Callable[[], None]:
    """Start the database and the server; returns what ends both."""
    user = {"user": "postgres"} if os.getuid() == 0 else {}
    if user:
        os.chown(work, pwd.getpwnam("postgres").pw_uid, -1)
    data = ["-D", str(work / "data")]

    def run(*command: str | Path, **more) -> None:
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, **more)

    run(BIN / "initdb", *data, "-A", "trust", "-U", "postgres", **user, cwd=work)
    options = f"-p {DATABASE} -k {work} -h 127.0.0.1"
    run(BIN / "pg_ctl", *data, "-o", options, "-w", "-l", work / "postgres.log", "start", **user, cwd=work)
    for database, command in (
        ("postgres", "create database geovisio encoding UTF8 template template0"),
        ("geovisio", "create extension postgis"),
        ("geovisio", "alter database geovisio set timezone to UTC"),
    ):
        run("psql", "-q", "-h", "127.0.0.1", "-p", str(DATABASE), "-U", "postgres", "-d", database, "-c", command)
    environment = surroundings(work)
    flask = [str(server / "bin" / "flask"), "--app", "geovisio"]
    subprocess.run([*flask, "db", "upgrade"], check=True, env=environment, cwd=work, capture_output=True)
    with open(work / "server.log", "w") as log:
        api = subprocess.Popen([*flask, "run", "-p", str(API)], env=environment, cwd=work, stdout=log, stderr=log)

    def stop() -> None:
        api.send_signal(signal.SIGTERM)
        api.wait()
        run(BIN / "pg_ctl", *data, "-m", "fast", "stop", **user, cwd=work)

    for _ in range(240):
        try:
            with urllib.request.urlopen(f"{address()}/api"):
                return stop
        except OSError:
            time.sleep(0.5)
    stop()
    raise SystemExit(f"the server does not start: {work / 'server.log'}")


def surroundings(work: Path) -> dict[str, str]:
    """The environment of the server's processes."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "DB_URL": f"postgres://postgres@127.0.0.1:{DATABASE}/geovisio",
        "FS_URL": str(work / "files"),
        "API_PICTURES_LICENSE_SPDX_ID": "etalab-2.0",
        "API_PICTURES_LICENSE_URL": LICENCE,
        "FLASK_SECRET_KEY": "of a test, and as long as such keys are",
    }


def token(server: Path, work: Path) -> str:
    """The key of the account that uploads without one belong to."""
    command = [str(server / "bin" / "flask"), "--app", "geovisio", "default-account-tokens", "get"]
    ran = subprocess.run(command, check=True, env=surroundings(work), cwd=work, capture_output=True, text=True)
    return ran.stdout.strip().splitlines()[-1]


def address() -> str:
    return f"http://127.0.0.1:{API}"


def upload(client: Path, places: Places, folder: Path) -> None:
    """Write the panoramas with EXIF and XMP as cameras do, and upload them with the server's own client."""
    folder.mkdir()
    for row in range(len(places)):
        when = str(places.time[row]).replace("-", ":").replace("T", " ")
        exif = Image.Exif()
        exif[0x0132] = when
        exif.get_ifd(0x8769).update({0x9003: when, 0x9011: "+00:00"})
        gps = {1: "N", 2: _dms(places.lat[row]), 3: "E", 4: _dms(places.lon[row])}  # it lies north and east
        gps |= {
            16: "T",
            17: float(round(float(places.heading[row]), 1)),
        }  # else that of the way is taken
        exif.get_ifd(0x8825).update(gps)
        xmp = XMP.format(heading=f"{places.heading[row]:.3f}").encode()
        with Image.open(places.path[row]) as image:
            image.save(folder / f"{places.panorama[row]}.jpg", quality=95, exif=exif, xmp=xmp)
    command = [client / "bin" / "panoramax_cli", "upload", "--api-url", address(), "--wait", "--is-blurred", folder]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def _dms(angle: float) -> tuple[float, float, float]:
    minutes, seconds = divmod(abs(angle) * 3600, 60)
    return float(minutes // 60), float(minutes % 60), round(seconds, 5)


def compare(places: Places, work: Path, key: str) -> None:
    """Fetch, compare with the truth, add, withdraw, fetch again; prints what was found."""
    where, folder = Where(near=(float(places.lat[0]), float(places.lon[0]), 2000.0)), work / "photos"
    reader = open_source("panoramax", address(), asset="hd")
    with reader.web:
        found = find(reader, where, folder, metres=0.0)
        got = fetch(reader.web, found, folder)
        again = fetch(reader.web, find(reader, where, folder, metres=0.0), folder)
        print(f"{len(got.pictures)} fetched of {len(places) - 2}; left out {dict(found.left_out)}; again {again.new}")
        times = {str(time): row for row, time in enumerate(places.time)}
        worst = [0.0, 0.0]
        for picture in got.pictures:
            row = times[picture.time.removesuffix("Z").partition("+")[0][:19]]
            apart = math.hypot(picture.lat - places.lat[row], (picture.lon - places.lon[row]) * 0.72) * 111_200
            turn = abs((picture.heading - places.heading[row] + 180) % 360 - 180)
            worst = [max(worst[0], apart), max(worst[1], turn)]
            assert picture.whole, picture
            assert picture.licence == "etalab-2.0", picture
            assert picture.credit, picture
        print(f"farthest from the truth: {worst[0]:.2f} m, {worst[1]:.2f} degrees")
        gone = got.pictures[0]
        item = reader.web.ask(f"{address()}/api/search", {"ids": [gone.id], "limit": 1})["features"][0]
        (work / "item.json").write_text(json.dumps(item, indent=1))
        fields(item)
        print(f"item that is told withdrawn: {withdraw(gone.id, item['collection'], key)}")
        found = find(reader, where, folder, metres=0.0)
        print(f"withdrawn found: {[p.id for p in found.withdrawn] == [gone.id]}")
        fetch(reader.web, found, folder)
        print(f"in the folder afterwards: {len(read_fetched(folder))}")
        quarters = Panoramax(reader.web, asset="hd", limit=3)
        print(f"in boxes of 3: {len(list(quarters.search(where)))}")


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


def withdraw(picture: str, collection: str, key: str) -> int:
    """Hide a picture as its owner does who takes it back; returns the status."""
    url, headers = f"{address()}/api/collections/{collection}/items/{picture}", {"Authorization": f"Bearer {key}"}
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE", headers=headers)) as answer:
        return answer.status


if __name__ == "__main__":
    main()
