from __future__ import annotations

import numpy as np
import pytest

from netvlad.benchmarks import benchmark

NAMES = [f"images-{i:05d}.png" for i in (202, 203, 204, 300, *range(301, 322))]  # 25 frames, with a gap


@pytest.fixture
def raw(tmp_path, touch):
    """The two seasons with frames that are not clean among them."""
    for season in ("summer", "winter"):
        touch(tmp_path, f"{season}/images-00001.png", *(f"{season}/{name}" for name in NAMES))
    (tmp_path / "cleanImageNames.txt").write_text("\n".join(NAMES) + "\n")
    return tmp_path


def test_ten_frames_along_the_list_of_clean_ones(raw):
    known = benchmark("nordland-summer-winter")
    split = known.read(raw)
    assert (len(split.database), len(split.queries)) == (25, 25)
    assert split.database.path[3] == str(raw / "summer" / "images-00300.png")
    assert split.queries.path[3] == str(raw / "winter" / "images-00300.png")
    for i, rows in enumerate(split.positives):
        assert rows.tolist() == [j for j in range(25) if abs(i - j) <= 10]
    assert not split.database.located.any()
    assert split.database.place[3] == "00003"
    assert (known.protocol.frames, known.protocol.radius, known.queries) == (10, None, 27_592)


def test_seven_frames_as_patch_netvlads_code(raw):
    known = benchmark("nordland-summer-winter-7frames")
    assert known.protocol.frames == 7
    for i, rows in enumerate(known.read(raw).positives):  # frame i lies at (i, i), the radius is 10
        assert rows.tolist() == [j for j in range(25) if np.hypot(i - j, i - j) <= 10]


def test_the_other_direction_takes_every_tenth_frame(raw):
    known = benchmark("nordland-winter-summer")
    split = known.read(raw)
    assert split.database.path[0] == str(raw / "winter" / NAMES[0])
    assert split.queries.path.tolist() == [str(raw / "summer" / NAMES[i]) for i in (0, 10, 20)]
    assert [rows.tolist() for rows in split.positives] == [[0, 1], [9, 10, 11], [19, 20, 21]]
    assert (known.protocol.frames, known.queries) == (1, 2760)


def test_the_downloaders_layout(tmp_path, touch):
    for folder in ("database", "queries"):
        for i in range(12):  # northing cut after one digit, and names that do not sort as numbers do
            touch(tmp_path, f"images/test/{folder}/@0@{int(i * 25 / 10.5 * 10) / 10:07.1f}@@@@@{i}@@@@@@@@.jpg")
    split = benchmark("nordland-summer-winter").read(tmp_path)
    assert [path.split("@")[7] for path in split.database.path] == [str(i) for i in range(12)]
    assert "/database/" in split.database.path[0]
    assert split.positives[11].tolist() == list(range(1, 12))
    turned = benchmark("nordland-winter-summer").read(tmp_path)
    assert "/queries/" in turned.database.path[0]

    def first(name: str = "nordland-summer-winter") -> str:
        return benchmark(name).check(tmp_path)[0]

    (gone,) = (tmp_path / "images/test/queries").glob("*@11@@@@@@@@.jpg")
    gone.unlink()
    assert "holds 12 frames in database, 11 in queries" in first()
    (gone,) = (tmp_path / "images/test/queries").glob("*@5@@@@@@@@.jpg")
    gone.unlink()
    assert first().endswith("queries: frames 0 to 9 must occur once each; some are missing or occur twice")


def test_what_is_missing(tmp_path, raw):
    (raw / "winter" / NAMES[1]).unlink()
    lines = benchmark("nordland-summer-winter").check(raw)
    assert lines[0] == f"1 of 25 query photos are absent in {raw}: winter/{NAMES[1]}"
    (raw / "cleanImageNames.txt").unlink()
    lines = benchmark("nordland-summer-winter").check(raw)
    assert lines == [f"{raw}: holds neither cleanImageNames.txt nor images/test"]
