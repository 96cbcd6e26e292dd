from __future__ import annotations

import math

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
    assert (found[1].confidence, found[0].confidence) == (None, 0.7)
    assert found[1].uncalibrated


@pytest.mark.parametrize(
    "shots",
    [
        {},
        {"b": AT["b"]},
        AT | {"b": ("Y", 30.0)},  # another camera
        {"a": ("X", 0.0), "b": ("X", 1000.0), "c": ("X", 2000.0)},  # hours later
    ],
)
def test_photos_apart_stay_as_they_are(shots):
    before = walk()
    assert all(now is was for now, was in zip(follow_cameras(before, shots), before, strict=True))


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
