from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from fixtures.street_services import TOKEN
from netvlad.errors import NetvladError
from netvlad.imagery.area import Area
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.mapillary import Mapillary
from netvlad.imagery.sources import open_source
from netvlad.maps.where import Where
from netvlad.panoramas.camera import Camera

BOX = (2.3, 48.8, 2.4, 48.9)  # of the largest size that may not be asked
TOWN = Area(Where(bbox=BOX))


@pytest.fixture
def reader(mapillary):
    opened = open_source("mapillary", mapillary.url, pause=0.0)
    with opened.web:
        yield opened


def test_an_item_becomes_a_picture(mapillary, reader):
    mapillary.add("1", computed_geometry={"type": "Point", "coordinates": [2.36, 48.86]}, computed_compass_angle=-10.0)
    (picture,) = reader.search([BOX])
    assert (picture.lat, picture.lon, picture.heading) == (48.86, 2.36, 350)
    assert picture.fov == pytest.approx(90)
    assert (picture.licence, picture.credit, picture.time) == ("CC-BY-SA-4.0", "Ada", "2023-05-01T10:00:00Z")
    assert picture.link == "https://www.mapillary.com/app/?pKey=1"


@pytest.mark.parametrize(
    ("facts", "fov"),
    [
        ({"camera_type": "spherical"}, 360),
        ({"camera_type": None, "camera_parameters": None}, math.nan),
        ({"width": 3000, "height": 4000}, 73.74),
        ({"camera_parameters": [0.0]}, math.nan),
    ],
)
def test_fields_of_view(mapillary, reader, facts, fov):
    mapillary.add("1", **facts)
    assert next(reader.search([BOX])).fov == pytest.approx(fov, abs=0.01, nan_ok=True)


def test_how_the_camera_was_held_is_taken_where_it_agrees_with_the_heading(mapillary, reader):
    right, up, forward = Camera(100.0, 5.0, -7.0).axes
    rotation = cv2.Rodrigues(np.stack([right, -up, forward]))[0].ravel().tolist()
    mapillary.add("1", computed_compass_angle=101.0, computed_rotation=rotation)
    mapillary.add("2", computed_compass_angle=280.0, computed_rotation=rotation)
    agreeing, contradicting = sorted(reader.search([BOX]), key=lambda picture: picture.id)
    assert (agreeing.pitch, agreeing.roll) == pytest.approx((5, -7))
    assert (contradicting.pitch, contradicting.roll) == (0, 0)


def test_bent_and_damaged_pictures_are_left_out(mapillary, reader):
    mapillary.add("1", camera_type="fisheye")
    mapillary.add("2", thumb_2048_url=None)
    mapillary.add("3", captured_at=10**30)
    assert list(reader.search([BOX])) == []
    assert sum(reader.left_out.values()) == 3


def test_full_boxes_are_quartered_and_too_large_ones_never_asked(mapillary, reader):
    for i in range(60):
        mapillary.add(str(i), 48.81 + 0.08 * (i % 7) / 7, 2.31 + 0.08 * (i // 7) / 9)
    reader.most = 12
    assert len(list(reader.search([BOX]))) == 60


def test_an_address_that_has_expired_is_asked_for_anew(mapillary, reader, tmp_path):
    for name in "123":
        mapillary.add(name)
    found = find(reader, TOWN, tmp_path, metres=0)
    mapillary.faults["/api/pictures/2"] = [(403, {}, b"URL signature expired")]
    got = fetch(reader, found, tmp_path)
    assert (got.new, got.failed, mapillary.renewals) == (3, {}, 1)


def test_what_was_withdrawn_goes(mapillary, reader, tmp_path):
    for name in "123":
        mapillary.add(name)
    fetch(reader, find(reader, TOWN, tmp_path, metres=0), tmp_path)
    mapillary.withdraw("1")
    mapillary.items["2"]["geometry"]["coordinates"] = [3.0, 48.85]
    mapillary.faults["/1"] = [(400, {}, b'{"error": {"message": "Object with ID 1 does not exist", "code": 100}}')]
    assert [p.id for p in find(reader, TOWN, tmp_path, metres=0).withdrawn] == ["1"]


def test_the_token_is_shown_nowhere(mapillary, reader, tmp_path, caplog):
    caplog.set_level(0)
    mapillary.add("1")
    fetch(reader, find(reader, TOWN, tmp_path), tmp_path)
    mapillary.faults["/images"] = [(401, {}, f"Invalid OAuth token {TOKEN}".encode())]
    with pytest.raises(NetvladError) as refused:
        list(reader.search([BOX]))
    written = "".join(p.read_text("utf-8", "replace") for p in tmp_path.rglob("*") if p.is_file())
    asked = "".join(path for _, path, _ in mapillary.asked)
    for text in (str(refused.value), repr(refused.value), caplog.text, written, asked):
        assert TOKEN not in text
        assert "c0ffee" not in text


def test_a_token_is_needed_and_goes_to_mapillary_alone(monkeypatch):
    monkeypatch.setenv("NETVLAD_MAPILLARY_TOKEN", "secret\nsecond")
    with pytest.raises(NetvladError) as bent:
        Mapillary.headers(Mapillary.url)
    assert "secret" not in str(bent.value)
    monkeypatch.setenv("NETVLAD_MAPILLARY_TOKEN", "secret")
    assert Mapillary.headers(Mapillary.url) == {"Authorization": "OAuth secret"}
    for other in ("https://mapillary.example.org", "https://graph.mapillary.com.example.org"):
        with pytest.raises(NetvladError):
            open_source("mapillary", other)
    monkeypatch.delenv("NETVLAD_MAPILLARY_TOKEN")
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", "other")
    assert Mapillary.headers(Mapillary.url) == {"Authorization": "OAuth other"}
    monkeypatch.delenv("MAPILLARY_ACCESS_TOKEN")
    with pytest.raises(NetvladError):
        open_source("mapillary")
