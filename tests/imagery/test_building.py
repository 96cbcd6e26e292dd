from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fixtures.panoramax import jpeg
from netvlad.errors import PlaceIndexError
from netvlad.imagery.area import Area
from netvlad.imagery.building import Request, index_views, read_request, views_of, write_request
from netvlad.imagery.fetched import read_fetched
from netvlad.imagery.fetching import fetch, find
from netvlad.imagery.sources import open_source
from netvlad.images.read import read_image
from netvlad.maps.index import PlaceIndex
from netvlad.maps.where import Where
from netvlad.panoramas.cut_outs import Layout

TOWN = Area(Where(bbox=(2.3, 48.8, 2.4, 48.9)))
FOUR = Layout((0.0, 90.0, 180.0, 270.0), (0.0,), width=32, height=24)
REQUEST = Request("panoramax", "", "", "2,3,4,5", "", "", "sd", 3.0, "tokyo", "../x-pictures")


@pytest.fixture
def world(panoramax, tmp_path):
    """make(index) -> what a sync of the server's pictures did."""
    for i in range(3):
        panoramax.add(f"p{i}", 48.81 + i / 1000, heading=30.0)
    panoramax.add("flat", 48.82, fov=70, heading=45.0, license="CC-BY-SA-4.0", **{"geovisio:producer": "Bob"})
    folder = tmp_path / "pictures"

    def make(index):
        reader = open_source("panoramax", panoramax.url, pause=0.01)
        with reader.web:
            got = fetch(reader, find(reader, TOWN, folder), folder)
        return index_views(index, folder, got.pictures, views_of(folder, got.pictures, FOUR, workers=0), workers=0)

    return make


def test_a_map_is_built_updated_and_gives_credit(panoramax, world, grid, tmp_path):
    index = PlaceIndex.create(tmp_path / "town.vpr", grid())
    assert len(world(index).new) == 3 * 4 + 1
    assert sorted(set(index.places.heading.tolist())) == [30, 45, 120, 210, 300]
    panoramax.withdraw("p0")
    panoramax.add("new", 48.83)
    synced = world(index)
    assert (len(synced.new), len(synced.vanished), len(index)) == (4, 4, 13)
    assert not list((tmp_path / "pictures" / "cutouts" / "photos").glob("panoramax-p0*"))
    flat = tmp_path / "pictures" / "pictures" / "panoramax-flat.jpg"
    location = PlaceIndex.open(index.folder, index.model).locate(str(flat), top=13)
    by_name = {match.path.rpartition("/")[2]: match.credit for match in location}
    assert by_name["panoramax-flat.jpg"].credit == "Bob"
    cut = by_name["panoramax-new_h090_p00.jpg"]
    assert (cut.licence, cut.credit) == ("etalab-2.0", "Ada")
    assert cut.link.endswith("pic=new")
    assert json.loads(json.dumps(location.to_dict()))["matches"][0]["credit"]["licence"] == "CC-BY-SA-4.0"
    assert "CC-BY-SA-4.0" in location.to_text()


def test_panoramas_are_levelled_and_cut_where_they_show_something(panoramax, tmp_path):
    inside = {"field_of_view": 360, "sensor_array_dimensions": [64, 32], "visible_area": [36, 0, 4, 0]}
    panoramax.add("part", heading=0.0, **{"pers:interior_orientation": inside, "pers:roll": 20.0})
    panoramax.files["part"] = jpeg(24, 32)
    panoramax.add("tilted", 48.86, heading=0.0, **{"pers:pitch": 20.0})
    panoramax.add("level", 48.87, heading=0.0)
    panoramax.files["tilted"] = panoramax.files["level"]
    reader = open_source("panoramax", panoramax.url, pause=0.01)
    with reader.web:
        got = fetch(reader, find(reader, TOWN, tmp_path), tmp_path)
    assert read_fetched(tmp_path) == got.pictures
    views = views_of(tmp_path, got.pictures, FOUR, workers=0)
    assert not views.skipped
    names = [path.rpartition("panoramax-")[2] for path in views.path]
    assert [name for name in names if "part" in name] == ["part_h090_p00.jpg"]
    assert len(names) == 1 + 4 + 4
    level, tilted = (next(path for path in views.path if f"{n}_h000" in path) for n in ("level", "tilted"))
    assert np.abs(read_image(level).astype(int) - read_image(tilted)).mean() > 10


def test_ordinary_pictures_alone_make_a_map(panoramax, world, grid, tmp_path):
    for name in ("p0", "p1", "p2"):
        panoramax.withdraw(name)
    index = PlaceIndex.create(tmp_path / "town.vpr", grid())
    world(index)
    assert len(index) == 1
    assert np.isfinite(index.places.lat).all()


def test_a_map_remembers_what_it_is_made_of(tmp_path):
    write_request(tmp_path / "a.vpr", REQUEST)
    write_request(tmp_path / "a.vpr", REQUEST)
    assert read_request(tmp_path / "a.vpr") == REQUEST
    with pytest.raises(PlaceIndexError):
        write_request(tmp_path / "a.vpr", replace(REQUEST, bbox="1,2,3,4"))


def test_a_drawn_area_is_part_of_the_map(tmp_path):
    line = '{"type": "MultiLineString", "coordinates": [[[2.0, 48.0], [2.1, 48.0]]]}'
    write_request(tmp_path / "a.vpr", replace(REQUEST, bbox="", shape=line, width=10.0))
    area = read_request(tmp_path / "a.vpr").area()
    assert area.shape.holds(np.array([48.0, 48.0002]), np.array([2.05, 2.05])).tolist() == [True, False]


def test_other_maps_are_not_taken_over(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(PlaceIndexError):
        write_request(tmp_path, REQUEST)
    with pytest.raises(PlaceIndexError):
        read_request(tmp_path)
    (tmp_path / "imagery.json").write_text("[")
    with pytest.raises(PlaceIndexError):
        read_request(tmp_path)
