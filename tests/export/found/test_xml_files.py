from __future__ import annotations

from datetime import datetime
from xml.etree import ElementTree as ET

from netvlad.export.found.xml_files import gpx_track
from netvlad.maps.track import Tracked


def test_a_track_as_gpx_has_a_segment_for_each_stretch():
    def at(t, lost):
        lat = float("nan") if lost else 43 + t / 100
        return Tracked(float(t), "", lat, 33.0, 0.0, 0.0, 0.9, lost)

    track = [at(0, False), at(1, False), at(2, True), at(3, False)]
    root = ET.fromstring(gpx_track(track, "a & b", datetime(2024, 1, 1)))
    space = {"g": "http://www.topografix.com/GPX/1/1"}
    assert [len(part) for part in root.findall(".//g:trkseg", space)] == [2, 1]
    assert root.find(".//g:name", space).text == "a & b"
    assert root.findall(".//g:time", space)[1].text == "2024-01-01T00:00:01Z"
    assert track[2].to_dict()["lat"] is None


def test_a_name_that_xml_cannot_hold():
    root = ET.fromstring(gpx_track([], "a\x01b"))
    assert root.find(".//g:name", {"g": "http://www.topografix.com/GPX/1/1"}).text == "a\ufffdb"
