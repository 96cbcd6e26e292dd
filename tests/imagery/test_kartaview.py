from __future__ import annotations

import pytest

from netvlad.imagery.area import Area
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.sources import open_source
from netvlad.maps.where import Where

BOX = (2.3, 48.8, 2.4, 48.9)
TOWN = Area(Where(bbox=BOX))


@pytest.fixture
def reader(kartaview):
    opened = open_source("kartaview", kartaview.url, pause=0.0)
    with opened.web:
        yield opened


def test_an_item_becomes_a_picture(kartaview, reader):
    kartaview.add("7", 48.85, 2.35, fieldOfView="66")
    (picture,) = reader.search([BOX])
    assert (picture.lat, picture.lon, picture.heading, picture.fov) == (48.85, 2.35, 90.5, 66)
    assert (picture.licence, picture.time) == ("CC-BY-SA-4.0", "2017-09-09T08:28:31")
    assert "KartaView" in picture.credit
    assert picture.link == "https://kartaview.org/details/583739/1/track-info"


def test_a_sphere_is_a_panorama(kartaview, reader):
    kartaview.add("7", projection="SPHERE")
    assert next(reader.search([BOX])).whole


@pytest.mark.parametrize(
    "facts", [{"projection": "FISHEYE"}, {"visibility": "private"}, {"fileurlProc": None}, {"lat": "", "lng": ""}]
)
def test_what_cannot_be_used_is_left_out(kartaview, reader, facts):
    kartaview.add("7", **facts) if "lat" not in facts else kartaview.put("7", {"id": "7", "lat": "x", "lng": "2.35"})
    kartaview.spot = lambda item: (2.35, 48.85)
    assert list(reader.search([BOX])) == []
    assert sum(reader.left_out.values()) == 1


def test_pages_are_full_at_150(kartaview, reader):
    for i in range(400):
        kartaview.add(str(i), 48.81 + 0.08 * (i % 20) / 20, 2.31 + 0.08 * (i // 20) / 20)
    assert len(list(reader.search([BOX]))) == 400


def test_what_was_withdrawn_goes(kartaview, reader, tmp_path):
    for name in "123":
        kartaview.add(name)
    assert fetch(reader, find(reader, TOWN, tmp_path, metres=0), tmp_path).new == 3
    kartaview.withdraw("1")
    kartaview.items["2"]["status"] = "deleted"
    assert {p.id for p in find(reader, TOWN, tmp_path, metres=0).withdrawn} == {"1", "2"}
