from __future__ import annotations

import math

import pytest

from netvlad.errors import NetvladError
from netvlad.imagery.panoramax import Panoramax, picture_of
from netvlad.imagery.web import Web
from netvlad.maps.where import Where

TOWN = Where(bbox=(2.3, 48.8, 2.4, 48.9))


@pytest.fixture
def reader(panoramax):
    with Web(panoramax.url, pause=0.01) as web:
        yield Panoramax(web)


def grid(server, n):
    for i in range(n):
        server.add(f"p{i}", 48.81 + 0.08 * (i % 7) / 7, 2.31 + 0.08 * (i // 7) / (n / 7))


def names(pictures):
    return sorted(picture.id for picture in pictures)


def test_an_item_becomes_a_picture(panoramax, reader):
    panoramax.add("a", 48.85, 2.35, heading=370, fov=360)
    (picture,) = reader.search(TOWN)
    assert (picture.lat, picture.lon, picture.heading, picture.whole) == (48.85, 2.35, 10, True)
    assert (picture.licence, picture.credit, picture.time) == ("etalab-2.0", "Ada", "2023-05-01T10:00:00Z")
    assert picture.link == f"{panoramax.url}/#focus=pic&pic=a"
    assert picture.address == f"{panoramax.url}/api/pictures/a/sd.jpg"


def test_what_is_missing_is_unknown(panoramax, reader):
    panoramax.add("a", heading=None, fov=None, time=None)
    (picture,) = reader.search(TOWN)
    assert math.isnan(picture.heading)
    assert math.isnan(picture.fov)
    assert not picture.whole
    assert picture.time == ""


def test_full_boxes_are_quartered(panoramax, reader):
    grid(panoramax, 100)
    reader.limit = 10
    assert names(reader.search(TOWN)) == names_of(panoramax)


def names_of(server):
    return sorted(server.items)


def test_a_server_that_answers_with_less_than_it_was_asked_for_is_found_out(panoramax, reader):
    grid(panoramax, 100)
    panoramax.most = 15
    assert names(reader.search(TOWN)) == names_of(panoramax)


def test_more_pictures_at_one_point_than_an_answer_holds_end(panoramax, reader):
    for i in range(12):
        panoramax.add(f"p{i}")
    reader.limit = 10
    assert len(list(reader.search(TOWN))) == 10


def test_an_area_across_the_antimeridian_is_asked_in_two_boxes(panoramax, reader):
    panoramax.add("west", -16.5, 179.999)
    panoramax.add("east", -16.5, -179.999)
    panoramax.add("far", -16.5, 0.0)
    assert names(reader.search(Where(near=(-16.5, 180.0, 500.0)))) == ["east", "west"]
    assert names(reader.search(Where(bbox=(179, -17, -179, -16)))) == ["east", "west"]


@pytest.mark.parametrize("properties", [{"license": None}, {"license": "proprietary"}])
def test_pictures_without_a_licence_are_left_out_and_counted(panoramax, reader, properties):
    panoramax.add("a", **properties)
    panoramax.add("b")
    assert names(reader.search(TOWN)) == ["b"]
    assert sum(reader.left_out.values()) == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"id": "../../etc/passwd"},
        {"geometry": None},
        {"geometry": {"type": "Point", "coordinates": [2.35, 148.0]}},
        {"properties": None},
        {"assets": {}},
    ],
)
def test_damaged_items_are_left_out(panoramax, reader, damage):
    panoramax.add("good")
    panoramax.add("bad")
    panoramax.strangers = [panoramax.items.pop("bad") | damage]
    assert names(reader.search(TOWN)) == ["good"]
    assert sum(reader.left_out.values()) == 1


def test_still_there_asks_by_id(panoramax, reader):
    for name in ("a", "b"):
        panoramax.add(name)
    pictures = list(reader.search(TOWN))
    panoramax.withdraw("b")
    assert reader.still_there(pictures) == {"a"}


def test_another_kind_of_server_is_refused(panoramax, reader):
    panoramax.search = lambda body: None
    with pytest.raises(NetvladError):
        list(reader.search(TOWN))


def test_the_size_of_the_original_is_known(panoramax):
    panoramax.add("a", **{"original_file:size": 4321})
    assert picture_of(panoramax.items["a"], panoramax.url, "hd").size == 4321
    assert picture_of(panoramax.items["a"], panoramax.url, "sd").size == 0


@pytest.mark.parametrize(
    ("stated", "read"),
    [("2023-05-01T12:00:00.123+02:00", "2023-05-01T10:00:00Z"), ("2023-05-01T10:00:00Z", "2023-05-01T10:00:00Z")]
    + [("yesterday", ""), ("", "")],
)
def test_times_are_read_as_utc(panoramax, stated, read):
    panoramax.add("a", time=stated)
    assert picture_of(panoramax.items["a"], panoramax.url, "sd").time == read
