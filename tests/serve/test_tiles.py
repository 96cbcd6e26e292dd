from __future__ import annotations

import pytest
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from netvlad.errors import NetvladError
from netvlad.serve.tiles import tiles_of


def archive(path, kind=TileType.PNG):
    with open(path, "wb") as file:
        writer = Writer(file)
        writer.write_tile(zxy_to_tileid(0, 0, 0), b"whole world")
        writer.write_tile(zxy_to_tileid(1, 1, 0), b"a quarter")
        box = {"min_lon_e7": 0, "min_lat_e7": 0, "max_lon_e7": 1, "max_lat_e7": 1}
        centre = {"center_zoom": 0, "center_lon_e7": 0, "center_lat_e7": 0}
        writer.finalize({"tile_type": kind, "tile_compression": Compression.NONE, **box, **centre}, {})
    return path


def test_tiles_of_a_file(tmp_path, service):
    path = archive(tmp_path / "a.pmtiles")
    tiles = tiles_of(str(path))
    assert (tiles.origin, tiles.largest) == ("", 1)
    running = service(tiles=str(path))
    found = running.get("/page/tiles/1/1/0")
    assert (found.content, found.headers["content-type"]) == (b"a quarter", "image/png")
    for missing in ("1/0/0", "1/2/0", "0/-1/0", "99/0/0", "24/16777215/16777215"):
        assert running.get(f"/page/tiles/{missing}").status_code == 404, missing


def test_what_is_no_source_of_tiles(tmp_path):
    (tmp_path / "b.pmtiles").write_bytes(b"x" * 500)
    for wrong in (
        "google",
        "https://a.example/tiles",
        "ftp://a.example/{z}/{x}/{y}",
        "https://a.example/{z}/{x}/{y}; script-src *",
        str(tmp_path / "none.pmtiles"),
        str(tmp_path / "b.pmtiles"),
        str(archive(tmp_path / "c.pmtiles", TileType.MVT)),
    ):
        with pytest.raises(NetvladError):
            tiles_of(wrong)


def test_named_ones():
    assert tiles_of("none").url == ""
    assert "OpenStreetMap" in tiles_of("osm").credit
    assert tiles_of("https://a.example:8080/t/{z}/{x}/{y}.png").origin == "https://a.example:8080"
