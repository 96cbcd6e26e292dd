from __future__ import annotations

import math

import pytest

from netvlad.errors import NetvladError
from netvlad.imagery.area import boxes_of
from netvlad.imagery.panoramax import Panoramax, picture_of
from netvlad.imagery.web import Web
from netvlad.maps.where import Where

TOWN = Where(bbox=(2.3, 48.8, 2.4, 48.9))


@pytest.fixture
def reader(panoramax):
    with Web(panoramax.url, pause=0.01) as web:
        yield Panoramax(web)


def names(pictures):
    return sorted(picture.id for picture in pictures)


def test_an_item_becomes_a_picture(panoramax, reader):
    panoramax.add("a", 48.85, 2.35, heading=370, fov=360)
    (picture,) = reader.search(boxes_of(TOWN))
    assert (picture.lat, picture.lon, picture.heading, picture.whole) == (48.85, 2.35, 10, True)
    assert (picture.licence, picture.credit, picture.time) == ("etalab-2.0", "Ada", "2023-05-01T10:00:00Z")
    assert picture.link == f"{panoramax.url}/#focus=pic&pic=a"
    assert picture.address == f"{panoramax.url}/api/pictures/a/sd.jpg"


def test_how_the_camera_was_held_and_what_its_file_shows(panoramax, reader):
    inside = {"field_of_view": 360, "sensor_array_dimensions": [2000, 1000], "visible_area": [0, 100, 0, 300]}
    panoramax.add("a", **{"pers:pitch": -5.5, "pers:roll": 350, "pers:interior_orientation": inside})
    (picture,) = reader.search(boxes_of(TOWN))
    assert (picture.pitch, picture.roll, picture.margins) == (-5.5, -10, (0, 0.1, 0, 0.3))


@pytest.mark.parametrize("area", [[0, 600, 0, 600], [0, 0, 0], "x", [-1, 0, 0, 0]])
def test_a_part_that_is_none_is_left_out(panoramax, reader, area):
    inside = {"field_of_view": 360, "sensor_array_dimensions": [2000, 1000], "visible_area": area}
    panoramax.add("a", **{"pers:interior_orientation": inside})
    assert list(reader.search(boxes_of(TOWN))) == []
    assert sum(reader.left_out.values()) == 1


def test_what_is_missing_is_unknown(panoramax, reader):
    panoramax.add("a", heading=None, fov=None, time=None)
    (picture,) = reader.search(boxes_of(TOWN))
    assert math.isnan(picture.heading)
    assert math.isnan(picture.fov)
    assert not picture.whole
    assert picture.time == ""


def test_an_area_across_the_antimeridian_is_asked_in_two_boxes(panoramax, reader):
    panoramax.add("west", -16.5, 179.999)
    panoramax.add("east", -16.5, -179.999)
    panoramax.add("far", -16.5, 0.0)
    assert names(reader.search(boxes_of(Where(near=(-16.5, 180.0, 500.0))))) == ["east", "west"]
    assert names(reader.search(boxes_of(Where(bbox=(179, -17, -179, -16))))) == ["east", "west"]


@pytest.mark.parametrize("properties", [{"license": None}, {"license": "proprietary"}])
def test_pictures_without_a_licence_are_left_out_and_counted(panoramax, reader, properties):
    panoramax.add("a", **properties)
    panoramax.add("b")
    assert names(reader.search(boxes_of(TOWN))) == ["b"]
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
    assert names(reader.search(boxes_of(TOWN))) == ["good"]
    assert sum(reader.left_out.values()) == 1


def test_still_there_asks_by_id(panoramax, reader):
    for name in ("a", "b"):
        panoramax.add(name)
    pictures = list(reader.search(boxes_of(TOWN)))
    panoramax.withdraw("b")
    assert reader.still_there(pictures) == {"a"}


def test_another_kind_of_server_is_refused(panoramax, reader):
    panoramax.search = lambda body: None
    with pytest.raises(NetvladError):
        list(reader.search(boxes_of(TOWN)))


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
