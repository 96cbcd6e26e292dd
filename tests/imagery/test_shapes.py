from __future__ import annotations

import json

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.imagery.shapes import Polygons, Route, parse_shape, shape_text

METRE = 1 / 111_200  # degrees of latitude
SQUARE = [[2.0, 48.0], [2.1, 48.0], [2.1, 48.1], [2.0, 48.1], [2.0, 48.0]]
HOLE = [[2.04, 48.04], [2.06, 48.04], [2.06, 48.06], [2.04, 48.06], [2.04, 48.04]]


def geojson(tmp_path, geometry):
    (tmp_path / "area.geojson").write_text(json.dumps(geometry))
    return parse_shape(shape_text(tmp_path / "area.geojson", None))


def gpx(tmp_path, *segments, width=25.0):
    points = ["".join(f'<trkpt lat="{lat}" lon="{lon}"><ele>1</ele></trkpt>' for lat, lon in part) for part in segments]
    body = "".join(f"<trkseg>{part}</trkseg>" for part in points)
    text = f'<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk>{body}</trk></gpx>'
    (tmp_path / "a.gpx").write_text(text)
    return parse_shape(shape_text(None, tmp_path / "a.gpx"), width)


def held(shape, *spots):
    lat, lon = np.array(spots, float).T
    inside = shape.holds(lat, lon).tolist()
    boxes = shape.boxes()
    in_boxes = [any(w <= b <= e and s <= a <= n for w, s, e, n in boxes) for a, b in zip(lat, lon, strict=True)]
    assert all(there for there, there_too in zip(in_boxes, inside, strict=True) if there_too)
    return inside


@pytest.mark.parametrize("wrapped", ["bare", "feature", "collection"])
def test_a_polygon_with_a_hole(tmp_path, wrapped):
    geometry = {"type": "Polygon", "coordinates": [SQUARE, HOLE]}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    none = {"type": "Feature", "properties": {}, "geometry": None}
    point = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [9, 9]}}
    collection = {"type": "FeatureCollection", "features": [none, point, feature]}
    shape = geojson(tmp_path, {"bare": geometry, "feature": feature, "collection": collection}[wrapped])
    assert isinstance(shape, Polygons)
    spots = (48.02, 2.02), (48.05, 2.05), (48.2, 2.05), (48.0, 2.0)
    assert held(shape, *spots) == [True, False, False, True]


def test_boxes_of_a_slanting_polygon_leave_out_most_of_its_surroundings(tmp_path):
    shape = geojson(tmp_path, {"type": "Polygon", "coordinates": [[[2, 48], [3, 49], [3.01, 49], [2.01, 48], [2, 48]]]})
    assert sum((e - w) * (n - s) for w, s, e, n in shape.boxes()) < 0.3


def test_a_bow_tie_and_two_parts_across_the_antimeridian(tmp_path):
    tie = geojson(tmp_path, {"type": "Polygon", "coordinates": [[[0, 1], [2, 3], [2, 1], [0, 3], [0, 1]]]})
    assert held(tie, (2.0, 0.2), (2.0, 1.8), (2.9, 1.0)) == [True, True, False]
    west = [[[179, 0], [180, 0], [180, 1], [179, 1], [179, 0]]]
    east = [[[-180, 0], [-179, 0], [-179, 1], [-180, 1], [-180, 0]]]
    both = geojson(tmp_path, {"type": "MultiPolygon", "coordinates": [west, east]})
    assert held(both, (0.5, 179.5), (0.5, -179.5), (0.5, 0.0)) == [True, True, False]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[1", "[]", '{"features": [1]}', '{"features": [{}]}', '{"type": "Point", "coordinates": [1, 2]}'),
        '{"type": "Polygon", "coordinates": [[[700000, 5000000], [700100, 5000000], [700100, 5000100]]]}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 1000000], [0, 0]]]}',
    ],
)
def test_a_file_without_polygons_is_refused(tmp_path, text):
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(NetvladError) as refused:
        shape_text(tmp_path / "a.geojson", None)
    assert refused.value.path


def test_a_route_is_as_wide_as_is_said(tmp_path):
    shape = gpx(tmp_path, [(48.0, 2.0), (48.1, 2.0)], [(48.2, 2.0), (48.2, 2.01)])
    assert isinstance(shape, Route)
    east = METRE / np.cos(np.radians(48.05))
    spots = (48.05, 2.0), (48.05, 2.0 + 24.5 * east), (48.05, 2.0 + 26 * east), (48.15, 2.0), (48.2 + 20 * METRE, 2.005)
    assert held(shape, *spots) == [True, True, False, False, True]
    assert held(gpx(tmp_path, [(48.0, 2.0), (48.1, 2.0)], width=100), (48.05, 2.0 + 90 * east)) == [True]


def test_a_route_across_the_antimeridian(tmp_path):
    shape = gpx(tmp_path, [(-16.5, 179.99), (-16.5, -179.99)])
    assert held(shape, (-16.5, 179.995), (-16.5, -179.995), (-16.5, 180.0), (-16.5, 0.0)) == [True, True, True, False]
    assert all(-180 <= w <= e <= 180 and e - w < 0.1 for w, _, e, _ in shape.boxes())


@pytest.mark.parametrize(
    "text", ["", "<gpx", "<gpx/>", '<gpx><trk><trkseg><trkpt lat="99" lon="0"/></trkseg></trk></gpx>']
)
def test_a_file_without_a_track_is_refused(tmp_path, text):
    (tmp_path / "a.gpx").write_text(text)
    with pytest.raises(NetvladError):
        shape_text(None, tmp_path / "a.gpx")


def test_two_areas_and_no_width_are_refused(tmp_path):
    with pytest.raises(NetvladError):
        shape_text("a.geojson", "a.gpx")
    with pytest.raises(NetvladError):
        shape_text(None, tmp_path / "absent.gpx")
    with pytest.raises(NetvladError):
        gpx(tmp_path, [(48.0, 2.0), (48.1, 2.0)], width=0)
    with pytest.raises(NetvladError):
        parse_shape("{")
    assert parse_shape(shape_text(None, None)) is None
