from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from netvlad.features.store import FeatureStore
from netvlad.features.verification import verify
from netvlad.maps.confidence import Calibration
from netvlad.maps.location import Location
from netvlad.maps.match import Match
from netvlad.maps.rerank import rerank_locations, weighed_by_inliers
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


# -- what inliers say ---------------------------------------------------------------------------------------------


def test_inliers_by_hand():
    before = np.array([0.3, 0.5, 0.2])
    few = before**0.7 / (before**0.7).sum()
    for inliers in (0, 10):  # by chance: nothing is said but that less is known
        np.testing.assert_allclose(weighed_by_inliers(before, inliers), few)
    many = before**0.7 * np.array([1, 2**-0.7, 2**-3.5])  # 20 beyond chance
    np.testing.assert_allclose(weighed_by_inliers(before, 30), many / many.sum())
    impossible = weighed_by_inliers(np.array([0.0, 0.0, 1.0]), 400)
    assert np.isfinite(impossible).all()
    assert impossible.sum() == pytest.approx(1)


def test_more_inliers_make_an_answer_surer_and_absence_less_likely():
    found = np.array([weighed_by_inliers(np.array([0.2, 0.3, 0.5]), n) for n in (5, 15, 40, 200)])
    assert (np.diff(found[:, 0]) > 0).all()
    assert (np.diff(found[:, 2]) < 0).all()


class Counts:
    """A verifier in whose eyes photos have so many inliers, which puts those with most first."""

    def __init__(self, inliers):
        self.counted = inliers

    def __call__(self, options):
        return self

    def inliers(self, query, photos):
        return np.array([self.counted[photo] for photo in photos])

    def order(self, inliers, scores):
        return np.argsort(-inliers, kind="stable")


def sure_where_no_other_is_near() -> Calibration:
    """Right, the nearer the best match is beside that of the best of another place."""
    return Calibration([[0, -4.0, 0, 0], [0.0] * 4, [-1.0, 0, 0, 0]], [0.8, 0, 0], [1.0] * 3, "place", 100)


@pytest.fixture
def by_xfeat(monkeypatch):
    """Options of re-ranking by XFeat, and a function that says how many inliers photos have."""
    options = RerankOptions(4)
    object.__setattr__(options, "kind", "xfeat")
    return options, lambda inliers: monkeypatch.setattr("netvlad.maps.rerank.Verifier", Counts(inliers))


@pytest.mark.parametrize("geodetic", [True, False])
def test_inliers_of_xfeat_enter_the_confidence(by_xfeat, geodetic):
    options, count = by_xfeat
    asked = location("q", [("a", 0.0), ("b", 24.0), ("c", 900.0)], geodetic)
    for inliers, first in (({"a": 60, "b": 0, "c": 3}, "a"), ({"a": 2, "b": 60, "c": 3}, "b")):
        count(inliers)
        [after] = rerank_locations([asked], options)  # of the same place, so what was known holds
        assert after.matches[0].path == first
        right, _, absent = weighed_by_inliers(np.array([0.9, 0.05, 0.05]), 60)
        assert (after.confidence, after.absent) == pytest.approx((right, absent))


def test_a_first_match_of_another_place_has_a_confidence_of_its_own(by_xfeat):
    options, count = by_xfeat
    asked = location("q", [("a", 0.0), ("b", 40.0), ("c", 900.0)])
    count({"a": 2, "b": 60, "c": 3})
    assert rerank_locations([asked], options)[0].confidence is None  # without a calibration
    calibration = sure_where_no_other_is_near()
    [after] = rerank_locations([replace(asked, calibration=calibration)], options)
    before = calibration.probabilities(np.array([[2**0.5, 0, 0]]))[0]  # b at 2, a at 1: farther than another place
    right, _, absent = weighed_by_inliers(before, 60)
    assert (after.confidence, after.absent) == pytest.approx((right, absent))
    count({"a": -1, "b": -1, "c": -1})  # none could be verified: nothing changes
    [after] = rerank_locations([replace(asked, calibration=calibration)], options)
    assert (after.confidence, after.absent) == pytest.approx((0.9, 0.05))


def test_another_label_is_another_place(scenes):
    first, again = scenes
    nan = float("nan")
    matches = [
        Match(path, nan, nan, nan, nan, 0, nan, np.datetime64("NaT"), 0.5, -1.0 - i, place=label)
        for i, (path, label) in enumerate([(first[0], "hall"), (first[1], "lift")])
    ]
    asked = [Location(again[q], matches, 25.0, 0.9, 0.05) for q in (0, 1)]
    kept, moved = rerank_locations(asked, RerankOptions(2))
    assert (kept.place, kept.confidence) == ("hall", 0.9)
    assert (moved.place, moved.confidence, moved.verdict) == ("lift", None, "unknown")
