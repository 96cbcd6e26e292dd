from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from netvlad.places import Places
from netvlad.places.table import COLUMNS


@pytest.fixture
def same(assert_same_places):
    """Assert that two tables agree in every column, to the last bit and in type."""
    assert {f.name for f in fields(Places)} == {*COLUMNS, "skipped", "notes"}
    return assert_same_places


@pytest.fixture
def geodetic(tmp_path) -> Places:
    """Three rows with all that is hard to write: hemispheres, gaps, both clocks, delimiters in names."""
    return Places.build(
        path=[tmp_path / "a, b;c.jpg", tmp_path / "deep" / 'quo"te.jpg', "/elsewhere/é.jpg"],
        lat=[31.26196648, -33.856784, 1 / 3],
        lon=[34.80118454, 151.215297, -179.999999],
        heading=[12.3, np.nan, 359.99],
        time=["2025-12-22T09:47:11+02:00", "2025-12-22 09:47:11", None],
        panorama=["p1", "", "7"],
        split=["database", "query", ""],
    )


@pytest.fixture
def planar(tmp_path) -> Places:
    return Places.build(
        path=[tmp_path / "a.jpg", tmp_path / "b.jpg"],
        easting=[0.0, 584949.89],
        northing=[0.0, 4477141.96],
        time=["2025-12-22T09:47:11Z", None],
    )


@pytest.fixture
def photo():
    """Write a small photo with EXIF: gps and exif map tags to values, (n, d) pairs are rationals."""

    def rational(value):
        if isinstance(value, list):
            return tuple(IFDRational(*pair) for pair in value)
        return IFDRational(*value) if isinstance(value, tuple) else value

    def write(path, gps=None, exif=None):
        tiff = path.suffix == ".tif"  # here Pillow takes the same tags by another way
        block = ImageFileDirectory_v2() if tiff else Image.Exif()
        if gps:
            block[0x8825] = {tag: rational(value) for tag, value in gps.items()}
        if exif:
            block[0x8769] = exif
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (90, 120, 60)).save(path, **{"tiffinfo" if tiff else "exif": block})
        return path

    return write


@pytest.fixture
def campus_gps() -> dict:
    """31 deg 15' 43.08" N, 34 deg 48' 4.26" E: 31.2619666..., 34.8011833..."""
    return {1: "N", 2: [(31, 1), (15, 1), (4308, 100)], 3: "E", 4: [(34, 1), (48, 1), (426, 100)]}
