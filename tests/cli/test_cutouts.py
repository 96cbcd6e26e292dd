from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netvlad.places import read_places


@pytest.fixture
def drive(tmp_path):
    """Two panoramas, one without a heading, and a photo that is none."""
    folder = tmp_path / "drive"
    (folder / "panoramas").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("a", (64, 32)), ("b", (64, 32)), ("c", (64, 48))):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 8, 3), dtype=np.uint8))
        coarse.resize(size).save(folder / "panoramas" / f"{name}.jpg")
    rows = ["path,lat,lon,heading,time,panorama"]
    for i, (name, heading) in enumerate((("a", "90"), ("b", ""), ("c", "0"))):
        rows.append(f"panoramas/{name}.jpg,48.00{i},11,{heading},2019-05-01T12:00:00,")
    (folder / "places.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_cutouts(netvlad, drive, tmp_path):
    out = tmp_path / "cut"
    ran = netvlad("cutouts", drive, "--out", out, "--width", "32")
    assert ran.code == 0
    assert ran.out == ""
    assert ran.err.splitlines() == [
        "1 panorama was left out:",
        f"  {drive / 'panoramas' / 'c.jpg'}: 64x48 is no panorama, which is twice as wide as high",
        "24 cut-outs have no heading: their panoramas have none",
        f"48 cut-outs of 2 panoramas in {out / 'places.parquet'}",
    ]
    places = read_places(out)
    assert len(places) == 48
    assert places.heading[:13].tolist() == [*range(90, 360, 30), 0, 30, 60, 90]
    assert Image.open(places.path[0]).size == (32, 24)


def test_the_layouts(netvlad, refused, drive, tmp_path):
    sized = ["--height", "12", "--width", "18", "--fov", "90"]
    ran = netvlad("cutouts", drive, "--out", tmp_path / "tokyo", "--layout", "tokyo", *sized, "--workers", "0")
    assert ran.err.splitlines()[-1].startswith("24 cut-outs of 2 panoramas in ")
    places = read_places(tmp_path / "tokyo")
    assert Image.open(places.path[0]).size == (18, 12)
    assert places.path[0].endswith("a_h000_p12.jpg")
    assert "no layout is called 'paris'; choose one of pittsburgh, tokyo" in refused(
        "cutouts", drive, "--out", tmp_path / "paris", "--layout", "paris"
    )
    assert "another layout" in refused("cutouts", drive, "--out", tmp_path / "tokyo")


def test_cut_outs_can_be_indexed(netvlad, drive, tmp_path):
    netvlad("cutouts", drive, "--out", tmp_path / "cut", "--width", "64")
    index = tmp_path / "drive.vpr"
    ran = netvlad("index", tmp_path / "cut", "--out", index, "--model", "test_resnet-max")
    assert "48 photos added" in ran.err


def test_wrong_use(netvlad, refused, drive, tmp_path):
    for wrong in (["--width", "0"], ["--fov", "180"], ["--workers", "-1"]):
        ran = netvlad("cutouts", drive, "--out", tmp_path / "cut", *wrong)
        assert ran.code == 2
        assert wrong[0] in ran.err
    assert "does not exist" in refused("cutouts", tmp_path / "none", "--out", tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
