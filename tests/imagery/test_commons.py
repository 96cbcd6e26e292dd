from __future__ import annotations

import pytest

from netvlad.errors import NetvladError
from netvlad.imagery.area import Area
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.sources import open_source
from netvlad.maps.where import Where

BOX = (2.3, 48.8, 2.4, 48.9)
TOWN = Area(Where(bbox=BOX))


@pytest.fixture
def reader(commons):
    opened = open_source("commons", commons.url, pause=0.0)
    with opened.web:
        yield opened


def test_a_page_becomes_a_picture(commons, reader):
    commons.add(12, 48.85, 2.35)
    (picture,) = reader.search([BOX])
    assert (picture.lat, picture.lon, picture.name) == (48.85, 2.35, "commons-12")
    assert (picture.licence, picture.credit, picture.time) == ("CC-BY-SA-4.0", "Ada & Bob", "2014-07-20T14:23:11")
    assert picture.link == "https://commons.wikimedia.org/wiki/File:12.jpg"


@pytest.mark.parametrize(
    ("facts", "licence"),
    [
        ({"License": "cc-by-sa-3.0-de"}, "CC-BY-SA-3.0-DE"),
        ({"License": "cc0"}, "CC0-1.0"),
        ({"License": "pd", "LicenseShortName": "Public domain"}, "Public domain"),
        ({"License": None, "LicenseShortName": "FAL"}, "FAL"),
    ],
)
def test_licences(commons, reader, facts, licence):
    commons.add(1, **facts)
    assert next(reader.search([BOX])).licence == licence


def test_html_is_stripped_and_a_time_in_words_is_unknown(commons, reader):
    commons.add(
        1,
        Artist='<p>Ada<br>Lovelace</p><script src="x"></script>',
        DateTimeOriginal='<time class="dtstart" datetime="2014">about 2014</time>',
    )
    (picture,) = reader.search([BOX])
    assert (picture.credit, picture.time) == ("Ada Lovelace", "")


def test_drawings_and_files_without_licence_are_left_out(commons, reader):
    commons.add(1, mime="image/svg+xml")
    commons.add(2, License=None, LicenseShortName=None)
    assert list(reader.search([BOX])) == []
    assert sum(reader.left_out.values()) == 2


def test_answers_that_go_on_are_followed_and_full_boxes_quartered(commons, reader):
    for i in range(40):
        commons.add(i, 48.81 + 0.08 * (i % 6) / 6, 2.31 + 0.08 * (i // 6) / 7)
    reader.most = commons.limit = 15
    assert len(list(reader.search([BOX]))) == 40
    assert reader.left_out == {}


def test_an_error_is_no_empty_area(commons, reader):
    commons.answer = lambda *_: {"error": {"code": "toobig", "info": "Bounding box is too big"}}
    with pytest.raises(NetvladError):
        list(reader.search([BOX]))


def test_what_was_deleted_goes(commons, reader, tmp_path):
    for i in (1, 2):
        commons.add(i)
    assert fetch(reader, find(reader, TOWN, tmp_path, metres=0), tmp_path).new == 2
    commons.withdraw("1")
    assert [p.id for p in find(reader, TOWN, tmp_path, metres=0).withdrawn] == ["1"]
