from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netvlad.panoramas import write_depth
from netvlad.panoramas.camera import panorama_rays
from netvlad.places import Places, read_places, write_places

OPTIONS = ["--width", "32", "--height", "24", "--headings", "3", "--reach", "5.5", "--workers", "0"]


@pytest.fixture
def panoramas(tmp_path):
    """A table of two panoramas in the middle of a plaza: a ground, and a wall all around 30 m away."""
    rays = panorama_rays(256)
    level = np.hypot(rays[..., 0], rays[..., 1])
    depth = np.minimum(30 / level, np.where(rays[..., 2] < 0, 2.5 / np.maximum(-rays[..., 2], 1e-9), np.inf))
    depth = np.where(depth * rays[..., 2] > 20, np.inf, depth)
    photo = np.uint8(127 + 100 * np.sin(6 * rays))
    for name in ("a", "b"):
        (tmp_path / "panoramas").mkdir(exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "panoramas" / f"{name}.jpg")
        write_depth(tmp_path / "depth" / f"{name}.png", depth)
    paths = [tmp_path / "panoramas" / f"{name}.jpg" for name in ("a", "b")]
    table = Places.build(path=paths, easting=[500_000, 500_003], northing=3_460_000, utm="36N", heading=[0, 90])
    write_places(table, tmp_path / "panoramas.csv")
    return tmp_path / "panoramas.csv"


def test_views_are_made_once(netvlad, panoramas, tmp_path):
    out = tmp_path / "virtual"
    ran = netvlad("synthesise", panoramas, "--out", out, *OPTIONS)
    assert (ran.code, ran.out) == (0, "")
    table = read_places(out / "places.parquet")
    assert len(table) == 3 * 7  # 5 nodes around the first, 2 more around the second
    assert ran.err.startswith(f"{out}: 21 views made, 21 in all from 7 virtual positions, ")
    assert ran.err.endswith("of their pixels undefined; 0 with more than 50% left out\n")
    again = netvlad("synthesise", panoramas, "--out", out, *OPTIONS)
    assert again.err == ran.err.replace("21 views made", "0 views made")
    photos = netvlad("index", out, "--out", tmp_path / "v.vpr", "--model", "test_resnet-max", "--workers", "0")
    assert "21 photos added" in photos.err


def test_panoramas_that_cannot_be_used_are_listed(netvlad, panoramas, tmp_path):
    (tmp_path / "depth" / "b.png").unlink()
    ran = netvlad("synthesise", panoramas, "--out", tmp_path / "v", *OPTIONS)
    assert ran.code == 0
    assert ran.err.splitlines()[:2] == [
        "1 panoramas could not be used:",
        f"  {tmp_path / 'panoramas' / 'b.jpg'}: no depth at {tmp_path / 'depth' / 'b.png'}",
    ]


def test_what_is_refused(refused, panoramas, tmp_path):
    out = tmp_path / "v"
    assert "latest or all is wanted" in refused("synthesise", panoramas, "--out", out, *OPTIONS, "--dates", "old")
    assert not out.exists()
    for path in (tmp_path / "depth").iterdir():
        path.unlink()
    said = refused("synthesise", panoramas, "--out", tmp_path / "w", *OPTIONS)
    assert str(tmp_path / "depth" / "a.png") in said
    assert "monocular" in said


def test_wrong_use(netvlad, panoramas, tmp_path):
    ran = netvlad("synthesise", panoramas, "--out", tmp_path / "v", "--max-holes", "2")
    assert ran.code == 2
    assert "'--max-holes'" in ran.err
