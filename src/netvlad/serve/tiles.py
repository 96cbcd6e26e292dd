"""Where the page's street map comes from: a public server, a file beside the map, or nowhere."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from netvlad.errors import NetvladError

OSM = "https://tile.openstreetmap.org/{z}/{x}/{y}.png"
OSM_CREDIT = '© <a href="https://www.openstreetmap.org/copyright">OpenStreetMap</a> contributors'
LOCAL = "page/tiles/{z}/{x}/{y}"  # relative to the page, which may be served below another path
Tile = Callable[[int, int, int], "bytes | None"]


@dataclass(frozen=True)
class Tiles:
    """url: a template with {z}, {x} and {y}, "" for no tiles. credit: shown beside them, HTML from this package alone.

    origin: the other server that browsers may load images from, "" for none. largest: the deepest zoom there is. tile,
    kind: gives a tile of a file, None where there is none, and its media type.
    """

    url: str = ""
    credit: str = ""
    origin: str = ""
    largest: int = 19
    tile: Tile | None = None
    kind: str = ""


def tiles_of(name: str) -> Tiles:
    """Tiles by name: "osm", "none", a template of addresses, a .pmtiles file. Raises NetvladError for anything else."""
    if name == "none":
        return Tiles()
    if name == "osm":
        return Tiles(OSM, OSM_CREDIT, "https://tile.openstreetmap.org")
    if name.endswith(".pmtiles"):
        return _archive(Path(name))
    address = urlsplit(name)
    if address.scheme not in ("http", "https") or not all(part in name for part in ("{z}", "{x}", "{y}")):
        raise NetvladError(
            f"--tiles: {name!r} is neither osm, none, an address with {{z}}/{{x}}/{{y}} nor a .pmtiles file"
        )
    if any(c in name for c in " ;,'\"<>"):  # it becomes a part of the page's policy
        raise NetvladError(f"--tiles: {name!r} has a character that no address of tiles has")
    return Tiles(name, f"Tiles: {address.hostname}", f"{address.scheme}://{address.netloc}")


def _archive(file: Path) -> Tiles:
    """Tiles of a PMTiles file of images. Raises NetvladError for a broken one and for one of vectors."""
    from pmtiles.reader import Reader
    from pmtiles.tile import TileType

    try:
        with open(file, "rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        reader = Reader(lambda offset, length: mapped[offset : offset + length])
        header = reader.header()
    except Exception as e:  # pmtiles raises nearly anything on broken bytes
        raise NetvladError(f"cannot be read as PMTiles ({type(e).__name__}: {e})", path=file) from e
    kinds = {TileType.PNG: "image/png", TileType.JPEG: "image/jpeg", TileType.WEBP: "image/webp"}
    if header["tile_type"] not in kinds:
        raise NetvladError("holds no images (PNG, JPEG or WebP): vector tiles are not drawn", path=file)

    def tile(z: int, x: int, y: int) -> bytes | None:
        try:
            found: bytes | None = reader.get(z, x, y)
        except Exception:  # a broken directory, or a number that no tile has
            return None
        return found

    return Tiles(LOCAL, "", "", header["max_zoom"], tile, kinds[header["tile_type"]])
