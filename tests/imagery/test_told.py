from __future__ import annotations

import pytest

from netvlad.errors import PlaceIndexError
from netvlad.imagery.building import Request, write_request
from netvlad.imagery.told import imagery_told
from netvlad.maps.credits import Credits, write_credits
from netvlad.maps.match import Credit
from netvlad.places import Places

LINE = '{"type": "MultiLineString", "coordinates": [[[2.0, 48.0], [2.1, 48.0]]]}'
REQUEST = Request("commons", "", "", "", "2019", "", "sd", 3.0, "tokyo", "../x-pictures", LINE, 10.0)
PLACES = Places.build(path=["a", "b", "c"], lat=1.0, lon=2.0, time=["2019-05-01", "2021-05-01", None])


def test_sources_licences_and_years_are_told(tmp_path):
    write_request(tmp_path, REQUEST)
    by = {name: Credit(licence, credit, "") for name, licence, credit in (("a", "X", "Ada"), ("b", "Y", "Ada"))}
    write_credits(tmp_path, Credits({**by, "c": Credit("Y", "Bob", "")}))
    told = imagery_told(tmp_path, PLACES)["imagery"]
    assert told["service"] == "https://commons.wikimedia.org"
    assert told["area"] == "within 10 m of a route"
    assert (told["after"], told["before"]) == ("2019", None)
    assert list(told["licences"].items()) == [("Y", 2), ("X", 1)]
    assert (told["pictures"], told["authors"]) == (3, 2)
    assert told["photos_by_year"] == {"2019": 1, "2021": 1}


def test_other_maps_tell_nothing_and_damaged_ones_are_refused(tmp_path):
    assert imagery_told(tmp_path, PLACES) == {}
    (tmp_path / "imagery.json").write_text("{")
    with pytest.raises(PlaceIndexError):
        imagery_told(tmp_path, PLACES)
