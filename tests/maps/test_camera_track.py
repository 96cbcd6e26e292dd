from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from netvlad.maps.camera_track import Track, camera_shots, follow_cameras
from netvlad.maps.location import Location
from netvlad.maps.match import Match


def match(name: str, north: float, score: float, planar: bool = False) -> Match:
    """A photo so many metres north of a corner."""
    lat = math.nan if planar else 31 + north / 110_850
    lon = math.nan if planar else 34.8
    return Match(name, lat, lon, 0.0, north, 0, math.nan, np.datetime64("NaT"), math.sqrt(-score), score)


def location(query: str, *matches: Match) -> Location:
    return Location(query, list(matches), 25.0, 0.7, 0.1)


def walk(planar: bool = False) -> list[Location]:
    """Three photos along a street; the middle one looks a little more like another end of the town."""
    return [
        location("a", match("a0", 0, -0.2, planar), match("a1", 900, -0.5, planar)),
        location("b", match("b1", 900, -0.30, planar), match("b0", 30, -0.35, planar)),
        location("c", match("c0", 60, -0.2, planar), match("c1", 500, -0.5, planar)),
    ]


def first(locations: list[Location]) -> list[str]:
    return [at.matches[0].path for at in locations]


AT = {"a": ("X", 0.0), "b": ("X", 30.0), "c": ("X", 60.0)}


@pytest.mark.parametrize("planar", [False, True])
def test_a_photo_follows_those_before_and_after_it(planar):
    # on the straight path b costs 3.5 spreads; by b1 it costs 3, and twice the largest penalty
    found = follow_cameras(walk(planar)[::-1], AT)
    assert first(found) == ["c0", "b0", "a0"]
    assert [match.path for match in found[1].matches] == ["b0", "b1"]


@pytest.mark.parametrize(
    "shots",
    [
        {},
        {"b": AT["b"]},
        {"a": ("Y", 0.0), "b": ("X", 30.0), "c": ("Z", 60.0)},  # other cameras
        {"a": ("X", 0.0), "b": ("X", 1000.0), "c": ("X", 2000.0)},  # hours later
    ],
)
def test_photos_apart_stay_as_they_are(shots):
    before = walk()
    assert all(now is was for now, was in zip(follow_cameras(before, shots), before, strict=True))


def by_all_paths(locations: list[Location], times: list[float], track: Track) -> list[np.ndarray]:
    """What the paths through each state of each photo come to, by going along all of them."""
    alone = []
    for at in locations:
        shares = np.exp([match.score / track.spread for match in at.matches])
        near = np.array([abs(match.northing - at.matches[0].northing) <= at.radius for match in at.matches])
        wrong = 1 - at.confidence - at.absent
        of = np.where(near, at.confidence / shares[near].sum(), track.listed * wrong / max(shares[~near].sum(), 1e-300))
        alone.append([*(of * shares), wrong * (1 - track.listed * (not near.all())), at.absent])
    sums = [np.zeros(len(each)) for each in alone]
    for path in itertools.product(*(range(len(each)) for each in alone)):
        value = np.prod([alone[i][state] ** track.trust for i, state in enumerate(path)])
        for i in range(1, len(path)):
            held = path[i] < len(locations[i].matches) and path[i - 1] < len(locations[i - 1].matches)
            cost = track.most
            if held:
                one, two = locations[i - 1].matches[path[i - 1]], locations[i].matches[path[i]]
                beyond = abs(one.northing - two.northing) - track.slack - track.speed * (times[i] - times[i - 1])
                cost = min(track.weight * max(beyond, 0), track.most)
            value *= np.exp(-cost)
        for i, state in enumerate(path):
            sums[i][state] += value
    return sums


@pytest.mark.parametrize("photo", ["a", "b"])
def test_the_confidence_is_that_of_all_paths(photo):
    before = [
        replace(at, confidence=confidence, absent=absent)
        for at, confidence, absent in zip(walk(True), (0.8, 0.4, 0.6), (0.1, 0.2, 0.05), strict=True)
    ]
    before[0].matches.append(match("a2", 10, -0.6, True))  # of the first one's place
    before[2] = replace(before[2], matches=before[2].matches[:1])
    track = Track(listed=0.6, trust=0.7)
    row = "ab".index(photo)
    found = follow_cameras(before, AT, track)
    sums = by_all_paths(before, [0.0, 30.0, 60.0], track)
    right = {"a": [0, 2], "b": [1]}[photo]
    assert found[row].confidence == pytest.approx(sums[row][right].sum() / sums[row].sum())
    assert found[row].absent == pytest.approx(sums[row][-1] / sums[row].sum())


def test_neighbours_that_agree_make_surer():
    found = follow_cameras(walk(), AT)
    assert min(at.confidence for at in found) > 0.8  # each by itself: 0.7


def test_without_a_calibration_another_match_has_no_confidence():
    some = walk()
    some[2] = replace(some[2], confidence=None, absent=None, uncalibrated="few photos")
    found = follow_cameras(some, AT)
    assert first(found) == ["a0", "b0", "c0"]
    assert found[0] is some[0]
    assert (found[1].confidence, found[1].absent) == (None, None)
    assert found[1].uncalibrated


def test_time_enough_to_get_there_costs_nothing():
    slow = {name: ("X", 40 * time) for name, (_, time) in AT.items()}
    assert first(follow_cameras(walk(), slow, Track(gap=1e4))) == ["a0", "b1", "c0"]


def test_one_far_clearer_photo_stays():
    sure = walk()
    sure[1] = location("b", match("b1", 900, -0.05), match("b0", 30, -0.9))
    assert first(follow_cameras(sure, AT)) == ["a0", "b1", "c0"]


def test_matches_without_a_position_are_not_chosen():
    nowhere = Match("n", math.nan, math.nan, math.nan, math.nan, 0, math.nan, np.datetime64("NaT"), 0.1, -0.01)
    some = walk()
    some[2] = location("c", nowhere)
    assert follow_cameras(some, AT)[2] is some[2]
    some[2] = location("c", nowhere, match("c0", 60, -0.3))
    assert first(follow_cameras(some, AT))[2] == "c0"


def test_cameras_and_times_of_photos(tmp_path):
    for name, tags in (("a", {0x010F: "Maker", 0x0110: "One"}), ("b", {0x0110: "One"}), ("c", {})):
        exif = Image.Exif()
        exif.update(tags)
        if name == "a":
            exif.get_ifd(0x8769).update({0x9003: "1970:01:01 00:02:00", 0xA431: "77"})
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.jpg", exif=exif)
    paths = [str(tmp_path / f"{name}.jpg") for name in "abcd"]
    assert camera_shots(paths) == {paths[0]: ("Maker One 77, its own clock", 120.0)}
