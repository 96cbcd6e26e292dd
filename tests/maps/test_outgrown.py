from __future__ import annotations

import numpy as np
from PIL import Image

import netvlad
from netvlad.describe.names import outgrown
from netvlad.maps.index import PlaceIndex


def test_an_index_knows_when_it_has_outgrown_its_model(tmp_path, monkeypatch):
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(13)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((96, 96)).save(path)
    places = netvlad.Places.build(path=paths, lat=1.0, lon=2.0 + 0.001 * np.arange(13))
    index = PlaceIndex.create(tmp_path / "a.vpr", netvlad.load("default", clusters=4))
    index.add(places[np.arange(3)], workers=0)
    assert outgrown(index.model, len(index)) == 0
    index.add(places[np.arange(11)], workers=0)
    assert outgrown(index.model, len(index)) == 0
    index.add(places, workers=0)
    again = PlaceIndex.open(tmp_path / "a.vpr")
    assert outgrown(again.model, len(again)) == 3
    assert index.dim == 448  # all that four clusters have
    assert [match.path for match in index.locate(paths[12], top=1)] == [paths[12]]


def test_other_models_are_not_outgrown(tmp_path, grid, street):
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.add(street(9), workers=0)
    assert outgrown(index.model, len(index)) == 0
