"""The real Panoramax server (GeoVisio) on this machine: start it, let its own client upload, withdraw.

VENV: environments of their own with `geovisio` (2.15) and with `panoramax-cli`, which need other versions than this
project. PostgreSQL 15 with PostGIS comes from the system (Debian: postgresql-15-postgis-3); its processes run as the
user `postgres` where this one is root. Everything is started on loopback and ended again.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from netvlad.places import Places

DATABASE, API = 5499, 5498  # ports
BIN = Path("/usr/lib/postgresql/15/bin")
LICENCE = "https://www.etalab.gouv.fr/licence-ouverte-open-licence/"
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:ProjectionType="equirectangular"
GPano:UsePanoramaViewer="True" GPano:PoseHeadingDegrees="{heading}" {more}/></rdf:RDF></x:xmpmeta>"""


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


def upload(client: Path, places: Places, folder: Path, more: str = "", bottom: int = 0) -> None:
    """Write the panoramas with EXIF and XMP as cameras do, and upload them with the server's own client.

    more: of the XMP. bottom: rows that the files lack there.
    """
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
        xmp = XMP.format(heading=f"{places.heading[row]:.3f}", more=more).encode()
        with Image.open(places.path[row]) as image:
            image.crop((0, 0, image.width, image.height - bottom)).save(
                folder / f"{places.panorama[row]}.jpg", quality=95, exif=exif, xmp=xmp
            )
    command = [client / "bin" / "panoramax_cli", "upload", "--api-url", address(), "--wait", "--is-blurred", folder]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def _dms(angle: float) -> tuple[float, float, float]:
    minutes, seconds = divmod(abs(angle) * 3600, 60)
    return float(minutes // 60), float(minutes % 60), round(seconds, 5)


def withdraw(picture: str, collection: str, key: str) -> int:
    """Hide a picture as its owner does who takes it back; returns the status."""
    url, headers = f"{address()}/api/collections/{collection}/items/{picture}", {"Authorization": f"Bearer {key}"}
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE", headers=headers)) as answer:
        return answer.status
