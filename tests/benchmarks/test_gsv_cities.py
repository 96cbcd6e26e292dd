from __future__ import annotations

import pytest

from netvlad.benchmarks import benchmark

HEAD = "place_id,year,month,northdeg,city_id,lat,lon,panoid\n"


@pytest.fixture
def tree(tmp_path, touch):
    (tmp_path / "Dataframes").mkdir()
    (tmp_path / "Dataframes" / "London.csv").write_text(
        HEAD
        + "130,2018,4,15,London,51.4861,-0.0895151,6jFjb3wGyCkcBfq4k559ag\n"
        + "130,2016,7,2,London,51.48612345678901,-0.160767,Ff3O_tS4ih\n"
    )
    (tmp_path / "Dataframes" / "PRS.csv").write_text(HEAD + "130,2015,5,584,PRS,48.797,2.2314,7P0FnGV3k4\n")
    touch(
        tmp_path,
        "Images/London/London_0000130_2018_04_015_51.4861_-0.0895151_6jFjb3wGyCkcBfq4k559ag.jpg",
        "Images/London/London_0000130_2016_07_002_51.486123456789_-0.160767_Ff3O_tS4ih.jpg",  # other digits
        "Images/PRS/PRS_0000130_2015_05_584_48.797_2.2314_7P0FnGV3k4.JPG",
        "Images/PRS/notes.txt",
    )
    return tmp_path


def test_places_and_photos(tree):
    known = benchmark("gsv-cities")
    assert known.check(tree) == ["3 photos are listed where the published set has about 530,000"]
    split = known.read(tree)
    assert split.database.place.tolist() == ["London_0000130", "London_0000130", "PRS_0000130"]
    assert [path.rpartition("_")[2] for path in split.database.path] == [
        "6jFjb3wGyCkcBfq4k559ag.jpg",
        "tS4ih.jpg",
        "7P0FnGV3k4.JPG",
    ]
    assert split.database.heading.tolist() == [15, 2, 224]
    assert split.database.time.astype("datetime64[M]").astype(str).tolist() == ["2018-04", "2016-07", "2015-05"]
    assert split.database.lat.tolist() == [51.4861, 51.48612345678901, 48.797]
    assert split.database.panorama[1] == "Ff3O_tS4ih"
    assert (len(split.queries), known.kind) == (0, "train")


def test_what_is_wrong(tree):
    known = benchmark("gsv-cities")
    name = "London_0000130_2018_04_015_51.4861_-0.0895151_6jFjb3wGyCkcBfq4k559ag.jpg"
    (tree / "Images" / "London" / name).unlink()
    assert known.check(tree)[:1] == [f"1 of 3 database photos are absent in {tree}: Images/London/{name}"]
    (tree / "Dataframes" / "PRS.csv").write_text(HEAD.replace("panoid", "pano") + "130,2015,5,584,PRS,48.8,2.2,7P0\n")
    assert known.check(tree) == [f"{tree / 'Dataframes/PRS.csv'}: has no columns panoid"]
    (tree / "Dataframes" / "PRS.csv").write_text(HEAD + "130,2015,May,584,PRS,48.8,2.2,7P0\n")
    (line,) = known.check(tree)
    assert line.startswith(f"{tree / 'Dataframes/PRS.csv'}: invalid literal")
    (tree / "Dataframes").rename(tree / "dataframes")
    assert known.check(tree) == [f"{tree / 'Dataframes'}: holds no CSV tables, one a city such as London.csv"]
