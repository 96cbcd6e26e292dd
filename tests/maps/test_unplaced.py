from __future__ import annotations

import json

import numpy as np

from netvlad.maps.index import PlaceIndex
from netvlad.maps.unplaced import unplaced
from netvlad.places import Places


def test_photos_without_a_place_answer_with_what_is_alike(street, grid, tmp_path):
    known = street(6)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    places = unplaced(known.path)
    assert (len(places), places.located.any(), len(unplaced([]))) == (6, False, 0)
    assert index.sync(places, workers=0).new == known.path.tolist()
    answer = index.locate(known.path[2], top=3)
    assert answer.matches[0].path == known.path[2]
    assert (answer.place, answer.confidence, answer.in_map) == ("", None, None)
    assert answer.to_text().splitlines()[1:3] == [
        "  at no known place",
        "  The photos most like it have neither a position nor a label.",
    ]
    assert json.loads(json.dumps(answer.to_dict(), allow_nan=False))["lat"] is None
    # their places become known
    assert index.sync(known, workers=0).repositioned == known.path.tolist()
    assert index.locate(known.path[2]).lat == known.lat[2]


def test_photos_without_a_place_among_others_do_not_disturb_confidence(walks, grid, tmp_path):
    places, fresh = walks(3, 60), walks(1, 5, seed=1)
    plain, mixed = (PlaceIndex.create(tmp_path / name, grid()) for name in ("plain.vpr", "mixed.vpr"))
    plain.add(places, workers=0)
    mixed.add(Places.concat([places[:90], unplaced(fresh.path), places[90:]]), workers=0)
    assert mixed.calibration == plain.calibration
    answer = mixed.locate(fresh.path[0])
    assert (answer.matches[0].path, answer.confidence) == (fresh.path[0], None)
    assert np.isnan(answer.easting)
