from __future__ import annotations

import numpy as np
import pytest

from netvlad.benchmarks import benchmark
from netvlad.benchmarks.msls import CITIES
from netvlad.errors import PlacesError
from netvlad.places import radius_neighbors, to_utm

WHERE = {"cph": (55.68, 12.57), "sf": (37.77, -122.42)}
# key, metres to the north of the city's point, compass, panorama, in the subtask "all", night
PHOTOS = {
    "database": [("d0", 0, 10, False, True, False), ("d1", 20, 350, False, True, True), ("d2", 5, 0, True, True, False)]
    + [("d3", 6, 180, False, False, False), ("d4", 60, -10, False, True, False)],
    "query": [
        ("q0", 0, 370 - 20, False, True, True),
        ("q1", 30, 90, False, True, False),
        ("q2", 0, 0, False, False, False),
    ],
}


def write_city(root, city, where, touch, shift=0.0):
    easting, northing, _ = to_utm(*where)
    for which, photos in PHOTOS.items():
        folder = root / "train_val" / city / which
        touch(folder, *(f"images/{city}{key}.jpg" for key, *_ in photos))
        raw, post, index, seq = [], [], [], []
        for i, (key, north, compass, pano, listed, night) in enumerate(photos):
            key = city + key
            lat, lon = where[0] + north / 111_200, where[1]
            raw.append(f"{i},{key},{lon},{lat},{compass},2015-05-0{i + 1},{pano}")
            post.append(f"{i},{key},{easting + shift},{northing + north},0,False,{night},Forward")
            index.append(f"{i},{key},{listed},False")
            seq.append(f"{i},{key},s,{i}")
        for name, head, rows in (
            ("raw.csv", ",key,lon,lat,ca,captured_at,pano", raw),
            ("postprocessed.csv", ",key,easting,northing,unique_cluster,control_panel,night,view_direction", post),
            ("subtask_index.csv", ",key,all,s2w", index),
            ("seq_info.csv", ",key,sequence_key,frame_number", seq),
        ):
            (folder / name).write_text("\n".join([head, *rows]) + "\n")


@pytest.fixture
def val(tmp_path, touch):
    for city, where in WHERE.items():
        write_city(tmp_path, city, where, touch)
    return tmp_path


def test_val_reads_what_the_authors_loader_reads(val):
    split = benchmark("msls-val").read(val)
    keys = [[path.rpartition("/")[2][:-4] for path in table.path] for table in (split.database, split.queries)]
    assert keys[0] == ["cphd0", "cphd1", "cphd4", "sfd0", "sfd1", "sfd4"]  # no panorama, nothing beyond the subtask
    assert keys[1] == ["cphq0", "cphq1", "sfq0", "sfq1"]
    assert split.database.path[0] == str(val / "train_val/cph/database/images/cphd0.jpg")
    assert split.condition.tolist() == ["night", "day"] * 2
    assert split.database.heading.tolist() == [10, 350, 350] * 2
    assert split.database.time[1].astype(str) == "2015-05-02T12:00:00"
    near = radius_neighbors(split.queries, split.database, 25.0)
    assert [sorted(near.of(i)[0].tolist()) for i in range(4)] == [[0, 1], [1], [3, 4], [4]]
    assert split.database.utm.tolist() == [32633] * 3 + [32610] * 3


def test_positions_are_the_postprocessed_ones(tmp_path, touch):
    write_city(tmp_path, "cph", WHERE["cph"], touch, shift=40.0)
    write_city(tmp_path, "sf", WHERE["sf"], touch)
    split = benchmark("msls-val").read(tmp_path)
    assert split.database.easting[0] == pytest.approx(to_utm(*WHERE["cph"])[0] + 40, abs=1e-3)
    write_city(tmp_path, "cph", WHERE["cph"], touch, shift=400.0)
    (line,) = benchmark("msls-val").check(tmp_path)
    assert line.endswith("raw.csv and postprocessed.csv place 3 photos more than 100 m apart, the first of them cphd0")


def test_train_takes_all_but_panoramas(tmp_path, touch):
    for i, city in enumerate(CITIES["train"]):
        write_city(tmp_path, city, (10.0 + i, 20.0), touch)
    for city in CITIES["train"]:
        (tmp_path / "train_val" / city / "query" / "subtask_index.csv").unlink()  # of no use here
    split = benchmark("msls-train").read(tmp_path)
    assert (len(split.database), len(split.queries)) == (22 * 4, 22 * 3)


def test_rules_of_the_two_readings():
    assert benchmark("msls-val").protocol.heading is None
    assert benchmark("msls-val-40deg").protocol.heading == 40.0
    assert benchmark("msls-val").protocol.unmatched == "drop"


def test_what_is_wrong(val):
    folder = val / "train_val" / "sf" / "query"

    def refused() -> str:
        (line,) = benchmark("msls-val").check(val)
        with pytest.raises(PlacesError) as error:
            benchmark("msls-val").read(val)
        assert str(error.value).endswith(line)
        return line

    def change(name: str, old: str, new: str) -> None:
        (folder / name).write_text((folder / name).read_text().replace(old, new))

    change("raw.csv", ",-122.42,", ",,")
    assert refused() == f"{folder}: 2 rows lack lon; photo sfq0: no lon"
    change("raw.csv", "sfq1", "sfq9")
    assert refused() == f"{folder}: raw.csv and postprocessed.csv do not list the same photos in the same order"
    change("subtask_index.csv", ",all,", ",some,")
    change("raw.csv", "sfq9", "sfq1")
    assert refused() == f"{folder / 'subtask_index.csv'}: has no columns all"
    (folder / "postprocessed.csv").write_text(",key,easting,northing\n")
    assert refused() == f"{folder / 'postprocessed.csv'}: holds no rows"
    (folder / "raw.csv").unlink()
    assert refused() == f"{folder / 'raw.csv'}: is not there (of metadata.zip)"


def test_a_silent_compass_is_no_fault(val):
    path = val / "train_val/cph/query/raw.csv"
    path.write_text(path.read_text().replace(",90,", ",,"))
    assert np.isnan(benchmark("msls-val").read(val).queries.heading[1])


def test_photos_that_are_absent(val):
    (val / "train_val/sf/database/images/sfd4.jpg").unlink()
    lines = benchmark("msls-val").check(val)
    assert lines[0] == f"1 of 6 database photos are absent in {val}: train_val/sf/database/images/sfd4.jpg"
    assert lines[1] == "6 database photos are listed where the published set has 18871"
