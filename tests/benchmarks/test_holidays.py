from __future__ import annotations

from netvlad.benchmarks import benchmark

NAMES = ["100000", "100001", "100002", "100100", "123400", "123407"]


def test_scenes(tmp_path, touch):
    touch(tmp_path, *(f"jpg/{name}.jpg" for name in NAMES))
    known = benchmark("holidays")
    split = known.read(tmp_path)
    assert split.names.tolist() == ["100000", "100100", "123400"]
    assert [rows.tolist() for rows in split.positives] == [[1, 2], [], [5]]
    assert [rows.tolist() for rows in split.junk] == [[0], [3], [4]]  # the query itself
    assert split.database.place.tolist() == ["1000", "1000", "1000", "1001", "1234", "1234"]
    assert known.check(tmp_path)[0] == "6 database photos are listed where the published set has 1491"
    (tmp_path / "jpg" / "123400.jpg").unlink()
    assert known.check(tmp_path) == [f"{tmp_path / 'jpg'}: scenes without their query photo: 1, the first 123400.jpg"]
    touch(tmp_path, "jpg/thumbs.png")
    assert known.check(tmp_path) == [f"1 of 6 photos in {tmp_path / 'jpg'} are not named by a number: thumbs"]


def test_nothing(tmp_path):
    assert benchmark("holidays").check(tmp_path) == [f"{tmp_path}: holds neither jpg nor images"]
    (tmp_path / "jpg").mkdir()
    assert benchmark("holidays").check(tmp_path) == [f"{tmp_path / 'jpg'}: holds no photos"]
