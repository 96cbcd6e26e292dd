from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import PlaceIndexError
from netvlad.maps.index import PlaceIndex
from netvlad.maps.snapshot import GPS_RADIUS, own_position
from netvlad.maps.where import ALL, Spots, Where
from netvlad.places import Places

NAN = float("nan")
# a kilometre of latitude is 0.008994 degrees here
SPOTS = Spots(
    lat=np.array([31.26, 31.26 + 0.0089, 31.26 + 0.0091, NAN, -40.0]),
    lon=np.array([34.80, 34.80, 34.80, NAN, 179.9]),
    time=np.array(["2018-12-31T23:59:59", "2019-01-01", "2022-05-31T23:59:59", "2022-06-01", "NaT"], "datetime64[s]"),
    planar=False,
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        (ALL, [0, 1, 2, 3, 4]),
        (Where(near=(31.26, 34.80, 1000)), [0, 1]),
        (Where(near=(31.26, 34.80, 1e8)), [0, 1, 2, 4]),
        (Where(bbox=(34, 31, 35, 31.265)), [0]),
        (Where(bbox=(170, -90, -170, 90)), [4]),  # across the antimeridian
        (Where(after="2019"), [1, 2, 3]),
        (Where(before="2022-06"), [0, 1, 2]),
        (Where(after="2019", before="2022-06"), [1, 2]),
        (Where(after=np.datetime64("2022-06-01")), [3]),
        (Where(near=(31.26, 34.80, 1000), after="2019"), [1]),
    ],
)
def test_which_photos_are_left(where, rows):
    assert np.flatnonzero(where.mask(SPOTS)).tolist() == rows
    assert bool(where) == (where is not ALL)


@pytest.mark.parametrize(
    "given",
    [
        {"near": (91, 0, 1)},
        {"near": (0, 181, 1)},
        {"near": (0, 0, 0)},
        {"near": (0, 0, NAN)},
        {"near": (NAN, 0, 5)},
        {"bbox": (0, 5, 1, 4)},
        {"bbox": (-181, 0, 1, 4)},
        {"bbox": (0, NAN, 1, 4)},
        {"after": "yesterday"},
        {"after": ""},
        {"before": "2022-13"},
        {"after": "2020", "before": "2019"},
    ],
)
def test_impossible_conditions(given):
    with pytest.raises(PlaceIndexError, match=next(iter(given))):
        Where(**given)


def test_a_planar_map_has_no_regions():
    flat = Spots(SPOTS.lat * NAN, SPOTS.lon * NAN, SPOTS.time, planar=True)
    with pytest.raises(PlaceIndexError, match="no latitudes"):
        Where(near=(31.26, 34.80, 1000)).mask(flat)
    assert Where(after="2019").mask(flat).sum() == 3


@pytest.fixture
def asked(walks, grid, tmp_path):
    """An index of 3 walks of 60 photos, with latitudes and longitudes."""
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    flat = walks(3, 60)
    metres = {"easting": flat.easting + 600_000, "northing": flat.northing + 3_460_000, "utm": 32636}
    index.add(Places.build(path=flat.path, **metres, time=flat.time), workers=0)
    return index


def test_a_search_in_part_of_the_map_is_a_search_of_a_map_of_that_part(asked, walks, grid, tmp_path):
    places = asked.places
    centre = places[[30]]
    where = Where(near=(float(centre.lat[0]), float(centre.lon[0]), 300.0))
    inside = where.mask(Spots.of(places))
    assert 40 < inside.sum() < 150
    small = PlaceIndex.create(tmp_path / "small.vpr", grid())
    small.add(places[inside], workers=0)
    queries = walks(1, 10, seed=1).path
    for got, want in zip(
        asked.locate_all(queries, where=where, workers=0).locations,
        small.locate_all(queries, workers=0).locations,
        strict=True,
    ):
        assert [match.path for match in got] == [match.path for match in want]
        assert got.confidence == pytest.approx(want.confidence, abs=1e-5)
        assert got.absent == pytest.approx(want.absent, abs=1e-5)
    assert asked.locate(queries[0]).confidence != pytest.approx(small.locate(queries[0]).confidence, abs=1e-5)


def test_a_region_that_holds_few_or_none(asked, walks):
    query, places = walks(1, 1, seed=1).path[0], asked.places
    few = Where(near=(float(places.lat[7]), float(places.lon[7]), 0.5))
    found = asked.locate(query, top=200, where=few)
    assert {match.lat for match in found} == {places.lat[7]}
    assert (found.confidence, found.absent) == (None, None)
    with pytest.raises(PlaceIndexError, match="no photo of that region"):
        asked.locate(query, where=Where(near=(-80.0, 0.0, 1000.0)))


def test_removing_where(asked):
    middle = asked.places.time[90]
    before = asked.places
    late = before.time >= middle
    assert asked.remove(Where(after=middle)) == late.sum()
    assert asked.places.path.tolist() == before.path[~late].tolist()


def test_the_own_position_of_a_photo_narrows_the_search(grid, photo, campus_gps, tmp_path):
    query = str(photo(tmp_path / "q.jpg", gps=campus_gps))  # grey, as all photos of the fixture
    lat, lon = own_position(query)
    assert (lat, lon) == pytest.approx((31.2619667, 34.8011833), abs=1e-6)
    near, far = str(photo(tmp_path / "near.png")), str(photo(tmp_path / "far.bmp"))
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.add(Places.build(path=[far, near], lat=[lat + 1, lat + 0.0009], lon=lon), workers=0)
    everywhere = index.locate(query)
    assert (everywhere.gps, everywhere.from_gps) == (None, None)
    found = index.locate(query, use_gps=True)
    assert [match.path for match in found] == [near]
    assert found.from_gps == pytest.approx(100, abs=1)
    assert "100 m from the position that the photo itself states" in found.to_text()
    assert found.to_dict()["from_gps"] == found.from_gps
    # a photo without a position, and one of which the map holds nothing near
    assert len(index.locate(far, use_gps=True).matches) == 2
    index.remove([near])
    alone = index.locate_all([query], use_gps=True).locations[0]
    assert alone.from_gps > 200 * GPS_RADIUS
