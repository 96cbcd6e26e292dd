from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.places import Places
from netvlad.town.contact_sheet import ACROSS, CELL, _queries_by_light, _stops, write_contact_sheet


def test_a_sheet_of_the_town(town, tmp_path):
    """Two stops on two dates, then day, sunset and night: six photos each."""
    out = write_contact_sheet(town / "train", tmp_path / "sheets" / "sheet.jpg")
    with Image.open(out) as sheet:
        assert sheet.format == "JPEG"
        assert sheet.size == (ACROSS * CELL[0], 7 * CELL[1])
        seen = np.asarray(sheet.convert("RGB")).astype(float)
    cells = seen.reshape(7, CELL[1], ACROSS, CELL[0], 3).swapaxes(1, 2)
    assert (cells.std(axis=(2, 3, 4)) > 5).all()  # none is empty
    assert cells[4].mean() > cells[6].mean()  # by day and by night
    assert list((tmp_path / "sheets").iterdir()) == [out]


def table(names: list[str], each: int = 12) -> Places:
    paths = [f"{name}_h{30 * i:03d}_p12.jpg" for name in names for i in range(each)]
    return Places.build(path=paths, lat=43.5, lon=33.0, panorama=[name for name in names for _ in range(each)])


@pytest.mark.parametrize(("home", "other"), [(0, 1), (99, 100), (100, 101)])
def test_the_corners_are_those_of_one_neighbourhood(home, other):
    """Another has more stops and more dates: what is shown stands in this one on every date that is shown."""
    names = [f"n{home:02d}_d{date:02d}_{stop:04d}" for date in range(4) for stop in range(8)]
    names += [f"n{other:02d}_d{date:02d}_{stop:04d}" for date in range(12) for stop in range(40)]
    shown = [Path(path).name for path in _stops(table(names))]
    wanted = [(stop, date) for stop in (2, 4) for date in range(3)]
    assert shown == [
        f"n{home:02d}_d{date:02d}_{stop:04d}_h{heading:03d}_p12.jpg"
        for stop, date in wanted
        for heading in range(0, 360, 60)
    ]


def test_a_town_of_one_stop_and_one_date():
    shown = _stops(table(["n00_d00_0000"]))
    assert len(shown) == 12
    assert len(set(shown)) == 6


def test_queries_by_their_light():
    names = [
        f"n00_v{v:02d}_{light}_{i:03d}.jpg" for v, light in enumerate(("night", "day", "sunset")) for i in range(15)
    ]
    names += ["n00_v03_day_000_absent.jpg"]
    shown = [Path(p).name for p in _queries_by_light(Places.build(path=names, lat=43.5, lon=33.0))]
    assert len(shown) == 18
    assert ["_day_" in name for name in shown] == [True] * 6 + [False] * 12
    assert ["_night_" in name for name in shown] == [False] * 12 + [True] * 6
    few = [Path(p).name for p in _queries_by_light(Places.build(path=names[:1], lat=43.5, lon=33.0))]
    assert few == names[:1]
