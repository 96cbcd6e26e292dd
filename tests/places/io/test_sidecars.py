"""XMP sidecars as editors, cameras and this package write them."""

from __future__ import annotations

from datetime import datetime

import pytest

from netvlad.places import read_places
from netvlad.places.io.sidecars import read_shot

PARIS = (48.856667, 2.350833)
AS_ATTRIBUTES = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,51.4N"
 exif:GPSLongitude="2,21.05E" exif:GPSImgDirection="9050/100" exif:DateTimeOriginal="2024-03-12T14:05:00+01:00"/>
</rdf:RDF></x:xmpmeta>"""
AS_ELEMENTS = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<r:Description r:about="" xmlns:e="http://ns.adobe.com/exif/1.0/"><e:GPSLatitude>48,51,24N</e:GPSLatitude>
<e:GPSLongitude> 2,21,3E </e:GPSLongitude></r:Description>
<r:Description xmlns:e="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<e:GPSImgDirection>90.5</e:GPSImgDirection><xmp:CreateDate>2024-03-12T13:05:00Z</xmp:CreateDate></r:Description>
</r:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("text", [AS_ATTRIBUTES, AS_ELEMENTS], ids=["attributes", "elements"])
@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "a.jpg.XMP"])
def test_position_heading_and_time(photo, tmp_path, text, name):
    path = photo(tmp_path / "a.jpg")
    (tmp_path / name).write_text(text, encoding="utf-8")
    places = read_places(path, strict=True)
    assert (places.lat[0], places.lon[0]) == pytest.approx(PARIS, abs=1e-6)
    assert places.heading[0] == 90.5
    assert (places.time[0].item(), places.is_utc[0]) == (datetime(2024, 3, 12, 13, 5), True)


def test_the_sidecar_is_later_than_exif_field_by_field(photo, campus_gps, tmp_path):
    path = photo(tmp_path / "a.jpg", {**campus_gps, 17: (27025, 100)}, {0x9003: "2025:12:22 12:00:00"})
    sidecar = tmp_path / "a.jpg.xmp"
    sidecar.write_text(
        AS_ATTRIBUTES.replace("exif:GPSImgDirection", "exif:GPSDOP").replace("DateTimeOriginal", "Other")
    )
    shot = read_shot(str(path))
    assert (shot.lat, shot.lon) == pytest.approx(PARIS, abs=1e-6)
    assert (shot.heading, shot.time) == (270.25, datetime(2025, 12, 22, 12))
    sidecar.write_text(AS_ATTRIBUTES.replace("GPSLatitude", "GPSDifferential"))
    assert read_shot(str(path)).lat == pytest.approx(31.2619667, abs=1e-6)
    (tmp_path / "a.xmp").write_text(AS_ELEMENTS)
    assert read_shot(str(path)).lat == pytest.approx(31.2619667, abs=1e-6)  # a.jpg.xmp is nearer to it


@pytest.mark.parametrize(
    ("angle", "lat"), [("33,51.4S", -33.856667), ("33,51,24S", -33.856667), ("-33.856667", -33.856667)]
)
def test_southern_and_plain_angles(photo, tmp_path, angle, lat):
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "a.xmp").write_text(AS_ATTRIBUTES.replace("48,51.4N", angle))
    assert read_shot(str(path)).lat == pytest.approx(lat, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<x:xmpmeta",
        AS_ATTRIBUTES.replace("48,51.4N", "48,71.4N"),
        AS_ATTRIBUTES.replace("48,51.4N", "48,51.4E"),
        '<!DOCTYPE a [<!ENTITY b "c">]>' + AS_ELEMENTS,
        "<a>" * 20_000,
    ],
)
def test_a_bad_sidecar_leaves_the_photo_as_it_is_and_is_noted(photo, campus_gps, tmp_path, text):
    path = photo(tmp_path / "a.jpg", campus_gps)
    (tmp_path / "a.xmp").write_text(text, encoding="utf-8")
    places = read_places(path)
    assert places.lat[0] == pytest.approx(31.2619667, abs=1e-6)
    assert "a.xmp" in places.notes[0].reason


def test_an_answer_does_not_become_a_known_place(photo, tmp_path):
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "a.jpg.xmp").write_text(
        AS_ATTRIBUTES.replace("exif:GPSLat", 'exif:GPSProcessingMethod="netvlad" exif:GPSLat')
    )
    assert "answer" in read_shot(str(path)).trouble


def test_an_answer_in_the_photo_itself_does_not_either_but_a_sidecar_corrects_it(photo, campus_gps, tmp_path):
    path = photo(tmp_path / "a.jpg", {**campus_gps, 27: b"ASCII\0\0\0netvlad"})
    assert "answer" in read_shot(str(path)).trouble
    assert "answer" not in read_shot(str(photo(tmp_path / "b.jpg", {**campus_gps, 27: b"ASCII\0\0\0GPS"}))).trouble
    (tmp_path / "a.jpg.xmp").write_text(AS_ATTRIBUTES, encoding="utf-8")
    assert read_places(path).lat[0] == pytest.approx(PARIS[0], abs=1e-6)
