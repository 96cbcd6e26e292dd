from __future__ import annotations

import json

from PIL import Image

from netvlad.places import read_places

# as little as there can be of everything
LITTLE = ["--streets", 1, 1, "--spacing", 50, "--dates", 1, 1, 1, "--width", 64, "--visits", 2, "--queries", 1]
LITTLE += ["--photo", 24, 18, "--workers", 0]


def test_town_build(netvlad, tmp_path):
    out = tmp_path / "town"
    wanted = ["--neighbourhoods", 1, 0, 0, "--seed", 9, "--gps", 0.5, "--compass", 0]
    ran = netvlad("town", "build", "--out", out, "--size", "tiny", *LITTLE, *wanted)
    assert (ran.code, ran.out) == (0, "")
    again = netvlad("town", "build", "--out", out, "--size", "tiny", *LITTLE, *wanted)  # gone on with: it is whole
    assert (again.code, again.err) == (0, ran.err)
    panoramas = read_places(out / "train" / "panoramas.parquet")
    assert ran.err.splitlines() == [
        f"{out / 'train'}: {len(panoramas)} panoramas, {12 * len(panoramas)} cut-outs, 2 queries",
        f"look at it: {out / 'sheet.jpg'}",
        f"ask it: netvlad demo {out / 'train' / 'places.parquet'}",  # there is no test split
    ]
    assert sorted(p.name for p in out.iterdir()) == ["sheet.jpg", "town.json", "train"]
    said = json.loads((out / "town.json").read_text())
    assert {name: said[name] for name in ("seed", "neighbourhoods", "streets", "spacing", "width", "photo")} == {
        "seed": 9,
        "neighbourhoods": [1, 0, 0],
        "streets": [1, 1],
        "spacing": 50,
        "width": 64,
        "photo": [24, 18],
    }
    assert (said["gps"], said["compass"]) == (0.5, 0)
    with Image.open(panoramas.path[0]) as photo:
        assert photo.size == (64, 32)
    with Image.open(read_places(out / "train" / "places.parquet").path[0]) as photo:
        assert photo.size == (24, 18)


def test_another_town_in_the_same_folder(refused, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    assert "holds other files" in refused("town", "build", "--out", tmp_path, *LITTLE)
    (tmp_path / "mine.txt").rename(tmp_path / "town.json")
    assert "holds other files" in refused("town", "build", "--out", tmp_path, *LITTLE)


def test_sizes_that_are_none(refused, tmp_path):
    def said(*options) -> str:
        return refused("town", "build", "--out", tmp_path / "town", *options)

    assert said("--size", "huge") == "no town is of size 'huge'; choose one of tiny, small, city"
    assert "panoramas 65 pixels wide" in said("--width", "65")
    assert "panoramas 60.0 m apart" in said("--spacing", "60")
    assert "counts are positive" in said("--neighbourhoods", "0", "0", "0")
    assert not (tmp_path / "town").exists()


def test_wrong_use(netvlad, tmp_path):
    for wrong in (["--seed", "-1"], ["--spacing", "0"], ["--gps", "-1"], ["--dates", "1"], ["--workers", "-1"]):
        ran = netvlad("town", "build", "--out", tmp_path / "town", *wrong)
        assert ran.code == 2
        assert wrong[0] in ran.err
    assert netvlad("town", "build").code == 2
    assert not (tmp_path / "town").exists()


def test_help(netvlad):
    ran = netvlad("town")
    assert "build" in ran.out + ran.err
    text = netvlad("town", "build", "--help").out
    assert "--neighbourhoods" in text
    assert "Example: netvlad town build --seed 7 --size small --out town/" in " ".join(text.split())
