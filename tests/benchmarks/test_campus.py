from __future__ import annotations

import pytest

from netvlad.benchmarks import benchmark
from netvlad.places import radius_neighbors


def write(root, light, photos):
    rows = [f"photos/{name}.jpg,{lat},34.8,2025-12-22T09:52:57" for name, lat in photos]
    (root / f"east_{light}.csv").write_text("\n".join(["path,lat,lon,time", *rows]) + "\n")


def test_both_directions(tmp_path, touch):
    write(tmp_path, "day", [("a", 31.262), ("b", 31.263)])
    write(tmp_path, "night", [("c", 31.262)])
    touch(tmp_path, "photos/a.jpg", "photos/b.jpg", "photos/c.jpg")
    split = benchmark("campus-day-night").read(tmp_path)
    assert (len(split.database), split.condition.tolist()) == (2, ["night"])
    split = benchmark("campus-night-day").read(tmp_path)
    assert (len(split.database), split.condition.tolist()) == (1, ["day", "day"])
    known = benchmark("campus-day-night")
    assert (known.protocol.radius, known.protocol.unmatched) == (10.0, "drop")
    (tmp_path / "photos/b.jpg").unlink()
    assert known.check(tmp_path)[0] == f"1 of 2 database photos are absent in {tmp_path}: photos/b.jpg"
    write(tmp_path, "day", [("a", 31.262), ("b", "")])
    (line,) = known.check(tmp_path)
    assert "1 of 2 photos cannot be used" in line
    (tmp_path / "east_day.csv").unlink()
    assert known.check(tmp_path) == [f"{tmp_path}: holds no east_day.csv"]


@pytest.mark.parametrize(("name", "judged"), [("campus-day-night", 349), ("campus-night-day", 313)])
def test_real_campus(campus, name, judged):
    known = benchmark(name)
    assert known.check(campus) == []
    split = known.read(campus)
    near = radius_neighbors(split.queries, split.database, known.protocol.radius)
    assert sum(len(near.of(i)[0]) > 0 for i in range(len(split.queries))) == judged
