from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import NetvladError
from netvlad.places import read_places
from netvlad.town.fixed_cameras import build_fixed_cameras

SMALL = {"neighbourhoods": 1, "cameras": 2, "moments": 4, "photo": (64, 48), "streets": (1, 1)}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return build_fixed_cameras(tmp_path_factory.mktemp("cameras") / "c", 3, **SMALL, workers=0)


def test_a_camera_stays_while_the_light_changes(built):
    places = read_places(built)
    assert len(places) == 8
    assert sorted(set(places.place)) == ["n00_c00", "n00_c01"]
    assert len(set(places.time)) == 4
    lights = [Path(path).stem.rpartition("_")[2] for path in places.path]
    assert set(lights) == {"day", "sunset", "night"}
    # edges of one window agree more with each other than with those of the other window, in daylight
    rows = [row for row, light in enumerate(lights) if light == "day"]
    day, names = [np.asarray(Image.open(places.path[row]).convert("L"), float) for row in rows], places.place[rows]
    slopes = [np.abs(np.gradient(x)[1]).ravel() for x in day]
    same = [np.corrcoef(slopes[i], slopes[j])[0, 1] for i in range(4) for j in range(i) if names[i] == names[j]]
    other = [np.corrcoef(slopes[i], slopes[j])[0, 1] for i in range(4) for j in range(i) if names[i] != names[j]]
    assert min(same) > max(other)


def test_what_is_missing_is_drawn_to_the_same_bytes(built, tmp_path):
    gone = sorted(built.parent.glob("*.jpg"))[::3]
    before = {file: file.read_bytes() for file in [*gone, built]}
    for file in gone:
        file.unlink()
    build_fixed_cameras(built.parent, 3, **SMALL, workers=2)
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("wrong", [{"moments": 1}, {"cameras": 0}, {"neighbourhoods": 0}, {"photo": (0, 48)}])
def test_counts_that_cannot_be(wrong, tmp_path):
    with pytest.raises(NetvladError, match="fixed cameras need"):
        build_fixed_cameras(tmp_path / "c", 3, **{**SMALL, **wrong})


def test_another_seed_in_the_same_folder_is_refused(built):
    with pytest.raises(NetvladError, match="seed 3, not 4"):
        build_fixed_cameras(built.parent, 4, **SMALL)
