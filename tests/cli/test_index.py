from __future__ import annotations

import shutil

import numpy as np
import pytest

import netvlad as package
from netvlad.maps.index import PlaceIndex
from netvlad.places import read_places, write_places

MODEL = "test_resnet-max"


def test_index_and_index_again(netvlad, town, tmp_path):
    out = tmp_path / "a.vpr"
    ran = netvlad("index", town, "--out", out, "--model", MODEL, "--radius", "12", "--resize", "0")
    assert (ran.code, ran.out) == (0, "")
    said = ran.err.splitlines()
    assert said[0].startswith(f"{out}: 8 photos added, 0 were in it already, 8 in all ({MODEL}, 192-D, ")
    assert said[1] == "answers will carry no confidence: 8 photos are too few to learn from (at least 20)"
    index = PlaceIndex.open(out)
    assert index.places.path.tolist() == [str(town / f"{i}.jpg") for i in range(8)]
    assert index.radius == 12
    assert index.model.architecture["resize"] is None
    ran = netvlad("index", town, "--out", out)
    assert ran.code == 0
    assert "0 photos added, 8 were in it already, 8 in all" in ran.err


def test_a_table_in_parts(netvlad, town, index, tmp_path, monkeypatch):
    monkeypatch.setattr("netvlad.places.io.parts.PIECE", 1)
    places = read_places(town)
    for number, part in enumerate((places[:3], places[3:])):
        file = tmp_path / "table" / f"region={number}" / "part.parquet"
        file.parent.mkdir(parents=True)
        write_places(part, file)
    given = ["index", tmp_path / "table", "--out", tmp_path / "a.vpr", "--model", MODEL, "--workers", "0"]
    assert "8 photos would be described" in netvlad(*given, "--dry-run").err
    ran = netvlad(*given)
    assert ran.code == 0, ran.err
    assert "8 photos added, 0 were in it already, 8 in all" in ran.err
    assert f"{file}: 5 photos, file 2 of 2" in ran.err
    made, wanted = PlaceIndex.open(tmp_path / "a.vpr"), PlaceIndex.open(index)
    assert made.places.path.tolist() == places.path.tolist()
    np.testing.assert_array_equal(*(np.concatenate(list(i.store.vectors())) for i in (made, wanted)))
    file.unlink()
    ran = netvlad(*given, "--dry-run")
    assert "0 photos would be added, 3 in it; nothing was changed" in ran.err
    assert "5 photos are gone" in netvlad(*given).err
    assert len(PlaceIndex.open(tmp_path / "a.vpr")) == 3


def test_the_same_settings_may_be_said_again(netvlad, town, index, tmp_path):
    out = shutil.copytree(index, tmp_path / "a.vpr")
    options = ["--model", MODEL, "--radius", "25", "--resize", "640", "--stage", "layer3", "--clusters", "64"]
    assert netvlad("index", town, "--out", out, *options).code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--clusters", "8"], "clusters 64, not 8"),
        (["--resize", "320"], "resize 640, not 320"),
        (["--resize", "0"], "resize 640, not None"),
        (["--stage", "layer2"], "stage layer3, not layer2"),
        (["--radius", "5"], "radius 25.0, not 5.0"),
        (["--model", "test_resnet-avg"], f"model {MODEL}, not test_resnet-avg"),
        (["--model", "no-such-folder/"], f"model {MODEL}, not no-such-folder/"),
        (["--model", "test_resnet-avg", "--clusters", "8"], f"model {MODEL}, not test_resnet-avg; clusters 64, not 8"),
    ],
)
def test_other_settings_are_refused(refused, town, index, options, words):
    assert refused("index", town, "--out", index, *options) == (
        f"{index}: was built with {words}: choose another folder, or leave these out"
    )


def test_a_model_of_the_hub(netvlad, town, tmp_path, weights, hub):
    name = package.load("test_resnet-max").push_to_hub("someone/max").partition("@")[0]
    out = tmp_path / "a.vpr"
    assert "8 photos added" in netvlad("index", town, "--out", out, "--model", name).err
    assert "0 photos added, 8" in netvlad("index", town, "--out", out, "--model", name).err


def test_a_saved_model_is_told_by_what_it_is(netvlad, refused, town, tmp_path, weights):
    for name in ("avg", "max"):
        package.load(f"test_resnet-{name}").save(tmp_path / name)
    out = tmp_path / "a.vpr"
    assert netvlad("index", town, "--out", out, "--model", tmp_path / "max").code == 0
    assert "0 photos added, 8" in netvlad("index", town, "--out", out, "--model", tmp_path / "max").err
    message = refused("index", town, "--out", out, "--model", tmp_path / "avg")
    assert message.startswith(f"{out}: was built with test_resnet-max (")
    assert "test_resnet-avg (" in message
    assert "radius 25.0, not 9.0" in refused("index", town, "--out", out, "--model", tmp_path / "max", "--radius", 9)


def test_unreadable_photos_are_told_of(netvlad, town, tmp_path):
    table = tmp_path / "t.csv"
    shutil.copy(town / "0.jpg", tmp_path / "good.jpg")
    (tmp_path / "bad.jpg").write_text("x")
    table.write_text("path,lat,lon\ngood.jpg,31.2,34.8\nbad.jpg,31.2,34.8\nnone.jpg,31.2,34.8\n")
    ran = netvlad("index", table, "--out", tmp_path / "a.vpr", "--model", MODEL)
    assert ran.code == 0
    assert ran.err.splitlines()[:3] == [
        "2 photos could not be read:",
        f"  {tmp_path / 'bad.jpg'}: is not an image in a format Pillow can read",
        f"  {tmp_path / 'none.jpg'}: no such file",
    ]
    assert "1 photo added" in ran.err


def test_names_that_are_no_text(netvlad, town, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(town / "0.jpg", folder / "@600000@3450000@36@R@.jpg")
    shutil.copy(town / "1.jpg", folder / "@600100@3450000@36@R@caf\udce9.jpg")
    ran = netvlad("index", folder, "--out", tmp_path / "a.vpr", "--model", MODEL)
    assert ran.code == 0
    assert "caf\\udce9.jpg: its name is not UTF-8 text" in ran.err
    assert "1 photo added" in ran.err


def test_wrong_paths(refused, town, tmp_path):
    out = tmp_path / "a.vpr"
    assert refused("index", tmp_path / "none", "--out", out).startswith(f"{tmp_path / 'none'}: does not exist")
    assert "holds no photos" in refused("index", tmp_path, "--out", out)
    assert "is there already and is not an index" in refused("index", town, "--out", town, "--model", MODEL)
    assert "no model is called 'bogus'" in refused("index", town, "--out", out, "--model", "bogus")
    assert "no stage 'layer9'" in refused("index", town, "--out", out, "--model", MODEL, "--stage", "layer9")
    assert "more than 0 metres" in refused("index", town, "--out", out, "--model", MODEL, "--radius", "0")
    assert not out.exists()


def test_tables_with_names_and_dates_of_their_own(netvlad, refused, town, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(f"Bild;Breite;Länge;Datum\n{town / '0.jpg'};48 deg 51' 24.00\" S;2,35;03/12/2024\n")
    options = ["--columns", "path=Bild,lat=Breite,lon=Länge,time=Datum", "--model", MODEL, "--out", tmp_path / "a.vpr"]
    assert "--date-order" in refused("index", table, *options)
    assert netvlad("index", table, *options, "--date-order", "day-first").code == 0
    places = PlaceIndex.open(tmp_path / "a.vpr").places
    assert places.lat[0] == pytest.approx(-48.856667, abs=1e-5)
    assert str(places.time[0]) == "2024-12-03T12:00:00"
    assert "lat=Breite" in refused("index", table, "--columns", "Breite", "--out", tmp_path / "b.vpr")


def test_photos_on_a_track(netvlad, refused, photo, tmp_path):
    photo(tmp_path / "photos" / "a.jpg", exif={0x9003: "2024:03:12 14:00:30"})
    photo(tmp_path / "photos" / "b.jpg", exif={0x9003: "2024:03:12 15:00:30"})
    points = "".join(f'<trkpt lat="48.{i}" lon="2"><time>2024-03-12T13:0{i}:00Z</time></trkpt>' for i in range(2))
    (tmp_path / "t.gpx").write_text(f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")
    options = ["--out", tmp_path / "a.vpr", "--model", MODEL, "--clock-offset", "+01:00:00"]
    assert "--gpx" in refused("index", tmp_path / "photos", *options)
    ran = netvlad("index", tmp_path / "photos", *options, "--gpx", tmp_path / "t.gpx", "--dry-run")
    assert ran.code == 0
    assert "1 photo would be described" in ran.err
    assert "b.jpg: no EXIF GPS, and no points 5 minutes apart" in ran.err


def test_strict_refuses_bad_rows(refused, tmp_path):
    (tmp_path / "t.csv").write_text("path,lat,lon\na.jpg,31.2,34.8\nb.jpg,,\n")
    assert "t.csv" in refused("index", tmp_path / "t.csv", "--out", tmp_path / "a.vpr", "--strict")


def test_an_index_of_nothing_is_an_error(netvlad, tmp_path):
    (tmp_path / "bad.jpg").write_text("x")
    (tmp_path / "table.csv").write_text("path,lat,lon\nbad.jpg,31.26,34.8\n")
    ran = netvlad("index", tmp_path / "table.csv", "--out", tmp_path / "x.vpr", "--model", "test_resnet-max")
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == f"netvlad: {tmp_path / 'x.vpr'}: is empty: none of 1 photo could be read"


@pytest.fixture
def own_town(town, index, tmp_path):
    """A copy of the town, and an index of it."""
    folder = shutil.copytree(town, tmp_path / "town")
    out = tmp_path / "own.vpr"
    made = PlaceIndex.create(out, package.load(index / "model"), root=folder)
    made.sync(package.read_places(folder), source=folder)
    return folder, out


def test_the_index_follows_its_photos(netvlad, own_town):
    folder, out = own_town
    table = (folder / "places.csv").read_text().splitlines()
    (folder / "5.jpg").rename(folder / "five.jpg")
    table[6] = table[6].replace("5.jpg", "five.jpg")
    table[3] = table[3].replace("31.2602", "31.2702")
    del table[8]
    (folder / "places.csv").write_text("\n".join(table) + "\n")
    dry = netvlad("index", folder, "--out", out, "--dry-run")
    assert dry.code == 0
    assert dry.err.splitlines()[-1] == f"{out}: 0 photos would be added, 7 in it; nothing was changed"
    assert len(PlaceIndex.open(out)) == 8
    kept = netvlad("index", folder, "--out", out, "--keep-missing")
    assert f"1 photo is gone, and kept in the index:\n  {folder / '7.jpg'}" in kept.err
    assert "0 photos added, 7 were in it already, 8 in all" in kept.err
    for line in (
        f"1 photo has moved or another name:\n  {folder / '5.jpg'} -> {folder / 'five.jpg'}",
        f"1 photo has another position:\n  {folder / '2.jpg'}",
    ):
        assert line in kept.err
        assert line in dry.err
    ran = netvlad("index", folder, "--out", out)
    assert f"1 photo is gone, and removed from the index:\n  {folder / '7.jpg'}" in ran.err
    held = PlaceIndex.open(out).places
    assert sorted(path.rpartition("/")[2] for path in held.path) == [
        *(f"{i}.jpg" for i in (0, 1, 2, 3, 4, 6)),
        "five.jpg",
    ]
    assert held.lat[held.path == str(folder / "2.jpg")] == [31.2702]


def test_a_moved_folder_is_found_again(netvlad, own_town, tmp_path):
    folder, out = own_town
    moved = folder.rename(tmp_path / "renamed")
    ran = netvlad("index", moved, "--out", out)
    assert "0 photos added, 8 were in it already, 8 in all" in ran.err
    assert "have moved" not in ran.err
    assert PlaceIndex.open(out).places.path[0] == str(moved / "0.jpg")
    again = moved.rename(tmp_path / "again")
    ran = netvlad("index", again / "places.csv", "--out", out, "--root", again)
    assert "have moved" not in ran.err
    assert PlaceIndex.open(out).places.path[0] == str(again / "0.jpg")


def test_a_dry_run_makes_no_index(netvlad, town, tmp_path):
    ran = netvlad("index", town, "--out", tmp_path / "a.vpr", "--model", MODEL, "--dry-run")
    assert ran.code == 0
    assert "8 photos would be described for it" in ran.err
    assert not (tmp_path / "a.vpr").exists()
