from __future__ import annotations

import json

import pytest

from netvlad.benchmarks import list_benchmarks
from netvlad.places import read_places


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def holidays(tmp_path):
    """Three photos of two scenes, as Holidays names them."""
    (tmp_path / "jpg").mkdir()
    for name in ("100000", "100001", "100100"):
        (tmp_path / "jpg" / f"{name}.jpg").touch()
    return tmp_path


def test_list(netvlad):
    ran = netvlad("datasets")
    assert ran.code == 0
    listed = [line.split()[0] for line in ran.out.splitlines() if line.strip()]
    assert [name for name in listed if name in list_benchmarks()] == list_benchmarks()
    line = next(line for line in ran.out.splitlines() if "sf-xl-small-val" in line)
    assert [piece.strip() for piece in line.split("  ") if piece.strip()][2:4] == ["15,998", "0.8"]


@pytest.mark.usefixtures("gardens")
def test_list_of_other_packages(netvlad):
    ran = netvlad("datasets")
    assert ran.code == 0
    listed = [line.split()[0] for line in ran.out.splitlines() if line.strip()]
    assert {"garden", "park-train", "park-test"} < {*listed}
    assert "worse" not in listed
    assert ran.err.startswith("benchmark 'worse' cannot be loaded from gardens_that_are_missing:one")


def test_show(netvlad):
    out = netvlad("datasets", "show", "tokyo247").out
    assert "photos: 75,984 database, 315 queries" in out
    assert (
        "rules: recall@N; right within 25 m; queries without a match count; of each panorama only the best cut-out "
        "counts; queries one by one, as is; also apart: day, sunset, night, sunset/night\n"
    ) in out
    wanted = "NetVLAD VGG-16 + whitening 4096-D: all 71.7 / 82.5 / 86.3; sunset/night 61.3 / 75.6 / 80.8"
    assert f"published: {wanted}\n" in out
    assert "\nROOT/\n  datasets/tokyo247.mat " in out
    for name, rule in {
        "msls-val-40deg": "right within 25 m; and 40 degrees; queries without a match are left out",
        "nordland-winter-summer": "right up to 1 frame off",
        "tokyo-tm-val": "photos of the query's date do not count",
        "gsv-cities": "rules: none: it is to train on",
        "amstertime": "the benchmark says which photos are right",
        "oxford5k": "mean average precision",
    }.items():
        assert rule in netvlad("datasets", "show", name).out, name


def test_show_all_parts(netvlad):
    out = netvlad("datasets", "show", "pitts30k").out
    assert [block.partition(":")[0] for block in out.split("\n\n")] == [
        "pitts30k-train",
        "pitts30k-val",
        "pitts30k-test",
    ]


def test_unknown(refused, tmp_path):
    for command in (["show"], ["check", "--root", tmp_path], ["export", "--root", tmp_path, "--to", "x"]):
        assert refused("datasets", *command, "pits").startswith(
            "no benchmark is called 'pits'; choose one of pitts250k"
        )
    assert refused("datasets", "export", "svox-rainy", "--root", tmp_path, "--to", "x").startswith("no benchmark")


def test_check(netvlad, holidays):
    ran = netvlad("datasets", "check", "holidays", "--root", holidays)
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "holidays:",
        "  3 database photos are listed where the published set has 1491",
        "  2 query photos are listed where the published set has 500",
    ]


def test_check_of_all_parts(netvlad, holidays):
    ran = netvlad("datasets", "check", "pitts30k", "--root", holidays)
    assert ran.code == 1
    assert [line for line in ran.out.splitlines() if line.startswith("pitts30k")] == [
        "pitts30k-train:",
        "pitts30k-val:",
        "pitts30k-test:",
    ]
    assert f"  {holidays}: holds neither datasets/pitts30k_val.mat nor pitts30k_val.mat nor " in ran.out


def test_check_of_what_is_there(netvlad, tmp_path):
    for folder in ("database", "queries"):
        (tmp_path / "images" / "val" / folder).mkdir(parents=True)
        name = "@0544388.51@4172758.25@10@S@037.70098@-122.49646@p@@@@@@@@.jpg"
        (tmp_path / "images" / "val" / folder / name).touch()
    ran = netvlad("datasets", "check", "at-named-val", "--root", tmp_path)
    said = "at-named-val: no problem found; how many photos the published set has is not known\n"
    assert (ran.code, ran.out, ran.err) == (0, said, "")


def test_one_photo_is_no_sf_xl(netvlad, tmp_path):
    for folder in ("database", "queries", "queries_v1"):
        (tmp_path / "processed" / "val" / folder).mkdir(parents=True)
        (tmp_path / "processed" / "test" / folder).mkdir(parents=True)
        name = "@0544388.51@4172758.25@10@S@037.70098@-122.49646@p@@@@@@@@.jpg"
        (tmp_path / "processed" / "val" / folder / name).touch()
        (tmp_path / "processed" / "test" / folder / name).touch()
    for benchmark, said in {
        "sf-xl-val": "1 database photos are listed where the published set has 8015",
        "sf-xl-test-v1": "2 photos are listed where the published set has about 2,801,000",
    }.items():
        ran = netvlad("datasets", "check", benchmark, "--root", tmp_path)
        assert ran.code == 1
        assert "as published" not in ran.out
        assert said in ran.out


def test_export(netvlad, refused, holidays, tmp_path):
    out = tmp_path / "out"
    ran = netvlad("datasets", "export", "holidays", "--root", holidays, "--to", out)
    written = [out / name for name in ("database.parquet", "queries.parquet", "truth.json")]
    assert (ran.code, ran.err.splitlines()) == (0, [f"wrote {path}" for path in written])
    assert [len(read_places(path)) for path in written[:2]] == [3, 2]
    assert json.loads(written[2].read_text())["positives"] == [[1], []]
    assert netvlad("datasets", "export", "holidays", "--root", holidays, "--to", out / "all.csv").code == 0
    assert read_places(out / "all.csv").split.tolist() == ["database"] * 3 + ["query"] * 2
    assert "written as .csv, .parquet" in refused("datasets", "export", "holidays", "--root", holidays, "--to", "a.txt")
    (holidays / "jpg" / "100000.jpg").unlink()
    said = refused("datasets", "export", "holidays", "--root", holidays, "--to", out)
    assert said == f"{holidays / 'jpg'}: scenes without their query photo: 1, the first 100000.jpg"


def test_wrong_use(netvlad):
    assert netvlad("datasets", "check", "holidays").code == 2
    assert netvlad("datasets", "export", "holidays", "--root", ".").code == 2
    assert netvlad("datasets", "bogus").code == 2


def test_help(netvlad):
    assert "datasets" in netvlad("--help").out
    for command in ("show", "check", "export"):
        assert command in netvlad("datasets", "--help").out
        assert f"Example: netvlad datasets {command} " in one_line(netvlad("datasets", command, "--help").out)
