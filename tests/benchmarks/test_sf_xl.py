from __future__ import annotations

import numpy as np
import pytest

from netvlad.benchmarks import benchmark

NAME = "@0544388.51@4172758.25@10@S@037.70098@-122.49646@kPnABhWJ1kA61eMNPLs1vQ@@210@@@@201606@@.jpg"
QUERY = "@0544390.00@4172758.25@10@S@037.70098@-122.49644@@@@@@@@@.jpg"


@pytest.mark.parametrize("base", ["processed/test/", "test/"])  # the whole server's tree, or the version's folder
def test_test_sets(tmp_path, touch, base):
    touch(tmp_path, f"{base}database/37.70/{NAME}", f"{base}queries_v1/{QUERY}", f"{base}queries_night/{QUERY}")
    split = benchmark("sf-xl-test-v1").read(tmp_path)
    assert split.database.path.tolist() == [str(tmp_path / base / "database/37.70" / NAME)]
    assert split.database.utm.tolist() == split.queries.utm.tolist() == [32610]
    assert np.isnan(split.database.heading).all()  # published in two ways that contradict each other
    assert split.database.time[0].astype(str) == "2016-06-01T12:00:00"
    assert benchmark("sf-xl-test-v1").check(tmp_path) == [
        "1 query photos are listed where the published set has 1000",
        "2 photos are listed where the published set has about 2,801,000",
    ]
    assert len(benchmark("sf-xl-test-night").read(tmp_path).queries) == 1
    (line,) = benchmark("sf-xl-test-v2").check(tmp_path)
    assert line == f"{tmp_path / base.rstrip('/')}: holds no queries_v2"


def test_listed_photos_that_are_absent(tmp_path, touch):
    touch(tmp_path, f"small/val/database/{NAME}", f"small/val/queries/{QUERY}")
    (tmp_path / "small/val/database_images_paths.txt").write_text(f"{NAME}\n{QUERY}\n")
    assert benchmark("sf-xl-small-val").check(tmp_path)[0] == (
        f"1 of 2 database photos are absent in {tmp_path}: small/val/database/{QUERY}"
    )
    assert benchmark("sf-xl-val").check(tmp_path) == [f"{tmp_path}: holds neither processed/val nor val"]


def test_train_has_no_queries(tmp_path, touch):
    touch(tmp_path, f"small/train/37.70/{NAME}")
    split = benchmark("sf-xl-small-train").read(tmp_path)
    assert (len(split.database), len(split.queries), benchmark("sf-xl-small-train").kind) == (1, 0, "train")
