from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netvlad.features.store import FeatureStore
from netvlad.features.verification import verify
from netvlad.maps.location import Location
from netvlad.maps.match import Match
from netvlad.maps.rerank import rerank_locations
from netvlad.search.rerank import RerankOptions

pytestmark = pytest.mark.usefixtures("without_xfeat")


def location(query: str, matches: list[tuple[str, float]], geodetic: bool = True) -> Location:
    """Of matches (path, metres north), one after the other, sure of the first."""
    found = []
    for i, (path, metres) in enumerate(matches):
        lat = 50 + metres / 111_229 if geodetic else float("nan")
        found.append(Match(path, lat, 8.0, 100.0, 200 + metres, 0, 0.0, np.datetime64("NaT"), 0.5 + i, -1.0 - i))
    return Location(query, found, 25.0, 0.9, 0.05)


@pytest.mark.parametrize("geodetic", [True, False])
def test_locations_in_the_order_of_their_inliers(scenes, geodetic):
    first, again = scenes
    at = [(first[0], 0.0), (first[1], 40.0), (first[2], 24.0), (first[3], 26.0), (first[4], 0.0)]
    before = [location(again[q], at, geodetic) for q in (3, 2, 0, 4)]
    after = rerank_locations(before, RerankOptions(4))
    orders = [[3, 0, 1, 2, 4], [2, 0, 1, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert [[m.path for m in a] for a in after] == [[at[i][0] for i in order] for order in orders]
    store = FeatureStore()
    for q, a in zip((3, 2, 0), after, strict=False):
        assert a.matches[0].inliers == len(verify(store.of(again[q]), store.of(first[q]))) > 12
    for a in after:
        assert [m.inliers is None for m in a] == [False] * 4 + [True]
        assert (a.query, a.radius) == (before[after.index(a)].query, 25.0)
    # told of a place 26 m away the confidence is none of this one; 24 m away it is
    assert [(a.confidence, a.absent) for a in after] == [(None, None), (0.9, 0.05), (0.9, 0.05), (0.9, 0.05)]
    assert after[0].in_map is None
    assert [m.distance for m in after[0]] == [3.5, 0.5, 1.5, 2.5, 4.5]  # each match keeps what it is
    assert before[0].matches[0].inliers is None


def test_locations_whose_photos_are_gone_or_plain(scenes, tmp_path):
    first, again = scenes
    Image.new("RGB", (60, 60)).save(tmp_path / "black.png")
    black, gone = str(tmp_path / "black.png"), str(tmp_path / "gone.png")
    one, two, three = rerank_locations(
        [location(again[1], [(gone, 0), (black, 0), (first[1], 0)]), location(black, [(first[0], 0)]),
         location(gone, [(first[0], 0)])], RerankOptions(9))  # fmt: skip
    assert [m.path for m in one] == [first[1], gone, black]
    assert [m.inliers for m in one][1:] == [None, 0]
    assert [m.inliers for m in two] == [0]
    assert [m.inliers for m in three] == [None]
    assert rerank_locations([], RerankOptions(3)) == []
