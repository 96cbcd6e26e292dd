from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from netvlad.benchmarks import benchmark
from netvlad.errors import PlacesError


@pytest.fixture
def folders(tmp_path, touch):
    """Photos 0 to 11 in ref/, without leading zeros so that texts sort otherwise, and two in query/."""
    touch(tmp_path, *(f"ref/{i}.jpg" for i in range(12)), "query/0000000.jpg", "query/0000001.jpg", "ref/ReadMe.txt")
    return tmp_path


def objects(*rows):
    """An array (N,) or (N, 2) of objects, as VPR-Bench and GSV-Cities save them."""
    pairs = len(rows) > 0 and isinstance(rows[0], tuple)
    out = np.empty((len(rows), 2) if pairs else len(rows), object)
    for i, row in enumerate(rows):
        out[i] = row
    return out


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("ground_truth_new.npy", objects((0, [0, 1]), (1, [10, 11]))),
        ("ground_truth_new.npy", objects((1, range(10, 14)), (0, [1, 0]))),  # past the end, as 17places goes
        ("ground_truth_new.npy", objects((np.int64(0), [np.int64(1), 0]), (1, np.array([10, 11])))),
        ("Nordland_gt.npy", objects(np.array([0, 1]), np.array([10, 11]))),
        ("ESSEX_gt.npy", np.array([[0, 1], [10, 11]])),
        ("ESSEX_gt.npy", np.array([[0, 1], [10, 11]], object)),
    ],
)
def test_lists(folders, name, rows):
    np.save(folders / name, rows, allow_pickle=True)
    assert benchmark("vpr-bench").check(folders) == []
    split = benchmark("vpr-bench").read(folders)
    assert [os.path.basename(path) for path in split.database.path[[0, 2, 11]]] == ["0.jpg", "2.jpg", "11.jpg"]
    assert [row.tolist() for row in split.positives] == [[0, 1], [10, 11]]
    assert not split.database.located.any()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (objects((0, [0]), (1, [1]), (2, [2])), "lists 3 queries; query/ holds 2"),
        (objects((0, [0]), (7, [1])), "first column"),
        (objects((0, [0]), (1, [500])), "matches photo 500; ref/ holds 12"),
        (objects((0, [0]), (1, range(10**12))), "among 12 photos"),
        (objects(("a", [0]), (1, [1])), "first column"),
        (objects((0, ["a"]), (1, [1])), "no list of photo numbers"),
        (np.zeros((0, 2)), "one row a query"),
    ],
)
def test_lists_of_another_set(folders, rows, said):
    np.save(folders / "ground_truth_new.npy", rows, allow_pickle=True)
    (line,) = benchmark("vpr-bench").check(folders)
    assert said in line


class Runs:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_a_list_runs_nothing(folders, monkeypatch):
    monkeypatch.chdir(folders)
    np.save("ground_truth_new.npy", objects((0, [0]), (1, [Runs()])), allow_pickle=True)
    with pytest.raises(PlacesError, match="mkdir"):
        benchmark("vpr-bench").read(folders)
    assert not (folders / "ran").exists()
    with open("ground_truth_new.npy", "r+b") as file:
        file.seek(128)
        file.write(pickle.dumps({"no": "array"}))
    with pytest.raises(PlacesError, match="one row a query"):
        benchmark("vpr-bench").read(folders)
    (folders / "ground_truth_new.npy").write_bytes(b"not NumPy's")
    with pytest.raises(PlacesError, match="cannot be read"):
        benchmark("vpr-bench").read(folders)


def test_what_is_missing(folders, touch):
    (line,) = benchmark("vpr-bench").check(folders)
    assert line.endswith("holds neither ground_truth_new.npy nor a list *_gt.npy; expected one")
    touch(folders, "ref/003.jpg")
    assert "a number twice" in benchmark("vpr-bench").check(folders)[0]
    touch(folders, "ref/left.jpg")
    assert "not named by a number: left.jpg" in benchmark("vpr-bench").check(folders)[0]


def test_pairs(tmp_path, touch):
    touch(tmp_path, *(f"{folder}/{i:07d}.jpg" for folder in ("ref", "query") for i in range(3)))
    split = benchmark("sped").read(tmp_path)
    assert [row.tolist() for row in split.positives] == [[0], [1], [2]]
    assert benchmark("sped").check(tmp_path)[0] == "3 database photos are listed where the published set has 607"


def test_every_tenth_frame_of_nordland(tmp_path, touch):
    touch(tmp_path, *(f"ref/{i:07d}.jpg" for i in range(25)), *(f"query/{i:07d}.jpg" for i in range(3)))
    split = benchmark("nordland-winter-summer").read(tmp_path)
    assert [row.tolist() for row in split.positives] == [[0, 1], [9, 10, 11], [19, 20, 21]]
    assert split.queries.place.tolist() == ["0000000", "0000010", "0000020"]
    touch(tmp_path, "query/0000003.jpg")
    assert "expected every 10th, 3" in benchmark("nordland-winter-summer").check(tmp_path)[0]
    assert "holds neither" in benchmark("nordland-summer-winter").check(tmp_path)[0]
