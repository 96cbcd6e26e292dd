from __future__ import annotations

import numpy as np
import pytest

from netvlad.benchmarks import benchmark
from netvlad.benchmarks.utm_filenames import read_folder
from netvlad.errors import PlacesError
from netvlad.places import radius_neighbors


def named(easting: float, panorama: str = "p", rest: str = "00@210@12@@@20110407_093000@day") -> str:
    """A name as the downloader writes it: San Francisco, degrees rounded to five places."""
    return f"@{easting:010.2f}@4172758.25@10@S@037.70098@-122.49646@{panorama}@{rest}@.jpg"


def test_every_field(tmp_path, touch):
    touch(tmp_path, "f/a/" + named(544388.51), "f/b/" + named(544399.99, "q", "@@@@@201606@"))
    places = read_folder(tmp_path / "f")
    assert places.path.tolist() == [str(tmp_path / "f/a" / named(544388.51)), str(places.path[1])]
    assert places.easting.tolist() == [544388.51, 544399.99]  # to the centimetre, whatever the degrees say
    assert places.utm.tolist() == [32610, 32610]
    assert places.lat[0] == pytest.approx(37.70098, abs=1e-5)
    assert places.panorama.tolist() == ["p", "q"]
    assert places.heading[0] == 210
    assert np.isnan(places.heading[1])
    assert places.time.astype(str).tolist() == ["2011-04-07T09:30:00", "2016-06-01T12:00:00"]
    assert np.isnan(read_folder(tmp_path / "f", headings=False).heading).all()


def test_a_list_of_paths_says_what_is_expected(tmp_path, touch):
    touch(tmp_path, "database/" + named(544388.51), "database/unlisted.jpg")
    listed = [named(544388.51), "sub/" + named(544389.51)]
    (tmp_path / "database_images_paths.txt").write_text("\n".join(listed) + "\n")
    assert read_folder(tmp_path / "database").path.tolist() == [str(tmp_path / "database" / name) for name in listed]


def test_photos_that_are_not_named_so(tmp_path, touch):
    touch(tmp_path, "f/" + named(544388.51), "f/IMG_1.jpg", "f/@x@y@.jpg")
    with pytest.raises(PlacesError) as error:
        read_folder(tmp_path / "f")
    assert str(error.value) == (
        f"2 of 3 photos in {tmp_path / 'f'} are not named @easting@northing@...: @x@y@.jpg; IMG_1.jpg"
    )
    (tmp_path / "g").mkdir()
    with pytest.raises(PlacesError, match="g: holds no photos"):
        read_folder(tmp_path / "g")


@pytest.mark.parametrize("database", ["database", "gallery"])
def test_database_and_queries(tmp_path, touch, database):
    touch(tmp_path, *(f"images/val/{database}/{named(544300 + 10 * i)}" for i in range(4)))
    touch(tmp_path, f"images/val/queries/{named(544300)}")
    split = benchmark("at-named-val").read(tmp_path)
    assert benchmark("at-named-val").check(tmp_path) == []
    assert radius_neighbors(split.queries, split.database, 25.0).of(0)[0].tolist() == [0, 1, 2]
    lines = benchmark("at-named-test").check(tmp_path)
    assert lines == [f"{tmp_path}: holds neither images/test nor test"]
    (tmp_path / "images/val").rename(tmp_path / "val")
    assert benchmark("at-named-val").check(tmp_path) == []
    (tmp_path / "val" / database).rename(tmp_path / "val" / "index")
    assert benchmark("at-named-val").check(tmp_path) == [f"{tmp_path / 'val'}: holds neither database nor gallery"]


def test_counts_and_folders_of_the_sets(tmp_path, touch):
    touch(tmp_path, "images/test/gallery/" + named(544300), "images/test/queries_night/" + named(544300))
    assert benchmark("svox-night").check(tmp_path) == [
        "1 database photos are listed where the published set has 17166",
        "1 query photos are listed where the published set has 823",
    ]
    assert len(benchmark("svox-night").read(tmp_path).queries) == 1
    assert benchmark("svox-sun").check(tmp_path) == [f"{tmp_path / 'images/test'}: holds no queries_sun"]


def test_pairs_know_their_match_by_label_not_by_the_stand_in_position(tmp_path, touch):
    def pair(label: str) -> str:
        return f"@0@{1000 * int(label)}@@@@@{label}@@@@@@@@.jpg"

    touch(tmp_path, *(f"images/test/database/{pair(n)}" for n in ("2", "7", "11")))
    touch(tmp_path, *(f"images/test/queries/{pair(n)}" for n in ("11", "2", "5")))
    split = benchmark("amstertime").read(tmp_path)
    labels = split.database.place[[row[0] if len(row) else -1 for row in split.positives]]
    assert split.queries.place.tolist() == ["11", "2", "5"]
    assert (labels == split.queries.place).tolist() == [True, True, False]
    assert [len(rows) for rows in split.positives] == [1, 1, 0]
    assert not split.database.located.any()
    assert benchmark("amstertime").protocol.radius is None
    touch(tmp_path, "images/test/queries/@0@1000@@@@@@@@@@@@@.jpg")
    with pytest.raises(PlacesError, match="1 of 4 photos in .* do not state their place in the seventh field"):  # noqa: RUF043
        benchmark("amstertime").read(tmp_path)
