from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netvlad
from netvlad.errors import ImageError, ModelError, NetvladError, PlaceIndexError, PlaceIndexWarning
from netvlad.images import decode
from netvlad.maps import adding, calibration_file, versions
from netvlad.maps.confidence import Calibration
from netvlad.maps.index import Added, PlaceIndex
from netvlad.maps.location import Located
from netvlad.maps.store import Store
from netvlad.places import Places, read_places
from netvlad.runtime.locks import only_writer


def vectors_of(index: PlaceIndex) -> np.ndarray:
    return np.concatenate([np.zeros((0, index.store.dim), np.float32), *index.store.vectors()])


def stored(index: PlaceIndex) -> list[dict]:
    """Path, stamp and content of each row."""
    return index.store.held(["path", "size", "mtime_ns", "digest"]).drop_columns(["_rowid"]).to_pylist()


@pytest.fixture
def new(tmp_path, grid):
    """new(name) -> a fresh index of the grid of colours"""
    return lambda name="a.vpr", **options: PlaceIndex.create(tmp_path / name, grid(), **options)


@pytest.fixture
def assert_same_index(assert_same_places):
    def check(a: PlaceIndex, b: PlaceIndex) -> None:
        assert_same_places(a.places, b.places)
        assert vectors_of(a).tobytes() == vectors_of(b).tobytes()
        assert stored(a) == stored(b)

    return check


# -- making and opening -----------------------------------------------------------------------------------------


def test_from_photos_to_a_place_and_back_from_the_disk(new, street, grid, assert_same_index, assert_same_places):
    places = street(12)
    made = new(radius=30)
    assert made.add(places) == Added(new=12, known=0, unreadable={})
    assert len(made) == 12
    assert_same_places(made.places, places)
    want = grid().describe(places.path).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(vectors_of(made), want)
    opened = PlaceIndex.open(made.folder, grid())
    assert opened.radius == 30
    assert_same_index(opened, made)
    for index in (made, opened):
        found = index.locate(places.path[7])
        assert found.matches[0].path == places.path[7]
        assert found.matches[0].distance < 1e-3  # it was stored as float16
        assert (found.lat, found.lon) == (places.lat[7], places.lon[7])
        assert [m.distance for m in found] == sorted(m.distance for m in found)
        assert len(found.matches) == 5


def test_the_folder_holds_what_it_says(new, street):
    index = new()
    places = street(3)
    index.add(places)
    files = {f.name for f in index.folder.iterdir()}
    locks = {".lock", ".search.faiss.lock"}
    assert files - locks == {"places.lance", "search.faiss", "calibration.json", "model", "manifest.json"}
    manifest = json.loads((index.folder / "manifest.json").read_text())
    assert len(manifest.pop("checksum")) == len(manifest.pop("map")) == 32
    assert manifest == {
        "format": 1,
        "radius": 25.0,
        "model": {"name": "grid", "identity": "grid-of-colours", "dim": 48},
        "root": str(Path(places.path[0]).parent),
        "root_from_map": os.path.relpath(Path(places.path[0]).parent, index.folder),
    }


def test_an_index_reopens_with_its_own_model(weights, tmp_path, photos):
    model = netvlad.load("test_resnet-netvlad", clusters=8)
    places = Places.build(path=photos(8), lat=31.26, lon=np.linspace(34.8, 34.81, 8))
    index = PlaceIndex.create(tmp_path / "a.vpr", model)
    assert not index.folder.exists()  # without centres there is nothing to keep yet
    assert len(index) == 0
    index.add(places)
    opened = PlaceIndex.open(index.folder)
    assert opened.model.ready
    assert opened.model.identity == model.identity
    found = opened.locate(places.path[3])
    assert found.matches[0].path == places.path[3]
    assert found.matches[0].distance < 1e-3
    moved = tmp_path / "far" / "away.vpr"
    moved.parent.mkdir()
    shutil.move(index.folder, moved)
    elsewhere = PlaceIndex.open(moved)
    assert [m.path for m in elsewhere.locate(places.path[3])] == [m.path for m in found]
    assert elsewhere.add(places) == Added(known=8)
    assert not index.folder.exists()


def test_of_two_that_are_made_at_once_one_is_refused(weights, tmp_path, photos):
    places = Places.build(path=photos(4), lat=31.26, lon=34.8)
    first, second = (PlaceIndex.create(tmp_path / "a.vpr", netvlad.load("test_resnet-vlad", clusters=4)) for _ in "12")
    first.add(places[:2])
    with pytest.raises(PlaceIndexError, match=r"a\.vpr: was made by another process meanwhile: open it"):
        second.add(places)  # its centres would be others
    assert len(PlaceIndex.open(first.folder)) == 2
    with only_writer(tmp_path / "b.vpr"), pytest.raises(NetvladError, match="another process is writing"):
        PlaceIndex.create(tmp_path / "b.vpr", netvlad.load("test_resnet-max"))


def test_a_fit_that_fails_leaves_a_folder_that_can_be_used(weights, tmp_path, photos):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"none")
    model = netvlad.load("test_resnet-vlad", clusters=4)
    with pytest.raises(ModelError, match="none of the 1 photos drawn could be read"):
        PlaceIndex.create(tmp_path / "a.vpr", model).add(Places.build(path=[bad], lat=1.0, lon=2.0))
    index = PlaceIndex.create(tmp_path / "a.vpr", model)
    assert index.add(Places.build(path=photos(2), lat=1.0, lon=2.0)).new == 2


def test_another_model_is_refused(new, street, grid):
    index = new()
    index.add(street(2))
    with pytest.raises(PlaceIndexError) as refused:
        PlaceIndex.open(index.folder, grid("another-grid-altogether"))
    assert str(refused.value) == (
        f"{index.folder}: was built with grid (grid-of-colo); grid (another-grid) makes other vectors. Ask it with its "
        f"own model, which is in {index.folder / 'model'}, or build another index"
    )


def test_create_never_overwrites(new, tmp_path, grid):
    new("a.vpr")
    with pytest.raises(PlaceIndexError, match=r"a\.vpr: is an index already: open it and add to it"):
        new("a.vpr")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file"):
        with pytest.raises(PlaceIndexError, match=rf"{name}: is there already and is not an index; choose another"):
            new(name)
    (tmp_path / "empty").mkdir()
    new("empty")


def test_a_model_that_cannot_be_saved(grid, tmp_path):
    class Unsaved(grid):
        save = None

    model = Unsaved()
    with pytest.raises(PlaceIndexError, match=r"grid cannot be saved .*, and an index keeps its model"):
        PlaceIndex.create(tmp_path / "a.vpr", model)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("radius", [0, -1.0, float("nan")])
def test_a_radius_that_is_none(new, radius, tmp_path):
    with pytest.raises(PlaceIndexError, match="more than 0 metres"):
        new(radius=radius)
    assert list(tmp_path.iterdir()) == []


def test_no_index_there(tmp_path):
    with pytest.raises(PlaceIndexError, match=r"none\.vpr: is not an index \(no manifest\.json in it\); make one with"):
        PlaceIndex.open(tmp_path / "none.vpr")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 2, "places": "x"}', "is an index of format 2; this version reads format 1"),
        ("{", r"manifest\.json: cannot be read \(JSONDecodeError"),
        ("[]", r"manifest\.json: cannot be read \(ValueError: is a list"),
        ("{}", "is an index of format None"),
        ("[" * 100_000, r"manifest\.json: cannot be read \(ValueError"),
        ('{"format": 1, "radius": Infinity, "model": {"name": "a", "identity": "b", "dim": 4}}', "lacks a radius"),
        ('{"format": 1, "radius": true, "model": {"name": "a", "identity": "b", "dim": 4}}', "lacks a radius"),
        ('{"format": 1, "radius": "25", "model": {"name": "a", "identity": "b", "dim": 4}}', "lacks a radius"),
        ('{"format": 1, "radius": 25, "model": {"name": "a", "identity": "b", "dim": 0}}', "lacks a radius"),
        ('{"format": 1, "radius": 25, "model": "a"}', "lacks a radius"),
    ],
)
def test_a_manifest_of_something_else(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(PlaceIndexError, match=message):
        PlaceIndex.open(tmp_path)


# -- adding -------------------------------------------------------------------------------------------------------


def test_adding_in_parts_keeps_the_order(new, street, assert_same_places):
    places, index = street(9), new()
    for part in (places[:4], places[[6, 1, 5]], places):
        index.add(part)
        for path in part.path:  # what was added can be found at once
            assert index.locate(path).matches[0].path == path
    assert_same_places(index.places, places[[0, 1, 2, 3, 6, 5, 4, 7, 8]])


def test_a_copy_of_a_photo_is_left_out(new, street, tmp_path):
    places, index = street(4), new()
    copies = [str(tmp_path / f"copy{i}.jpg") for i in range(2)]
    for path, copy in zip(places.path, copies, strict=False):
        shutil.copy(path, copy)
    both = Places.concat([places, Places.build(path=copies, lat=31.3, lon=34.9)])
    assert index.add(both) == Added(new=4, known=2)  # within one call
    assert index.add(both[4:]) == Added(new=0, known=2)  # and in another
    assert index.places.path.tolist() == places.path.tolist()


def test_a_photo_named_twice_is_in_once(new, street):
    places, index = street(3), new()
    assert index.add(places[[0, 1, 1, 2, 0]]) == Added(new=3, known=2)
    assert index.places.path.tolist() == places.path.tolist()


def test_what_is_in_is_not_read_again(new, street, monkeypatch):
    places, index = street(5), new()
    index.add(places[:3])
    read, whole = [], decode._decode_one

    def noted(resize, alpha, photo):
        read.append(photo[1])
        return whole(resize, alpha, photo)

    monkeypatch.setattr(decode, "_decode_one", noted)
    assert index.add(places) == Added(new=2, known=3)
    assert read == places.path[3:].tolist()
    assert index.add(places) == Added(known=5)
    assert len(read) == 2


def test_a_photo_that_was_touched_is_read_and_left_as_it_is(new, street):
    places, index = street(3), new()
    index.add(places)
    for path in places.path:
        os.utime(path, ns=(0, 1))
    assert index.add(places) == Added(known=3)
    assert len(index) == 3


def test_a_photo_that_changed_replaces_its_row(new, street):
    places, index = street(3), new()
    index.add(places)
    Image.new("RGB", (32, 24), "red").save(places.path[1])
    assert index.add(places) == Added(new=1, known=2, replaced=[places.path[1]])
    assert index.places.path.tolist() == places.path[[0, 2, 1]].tolist()
    for found in (index, PlaceIndex.open(index.folder, index.model)):
        assert [found.locate(path).matches[0].path for path in places.path] == places.path.tolist()
    assert index.add(places) == Added(known=3)


def test_unreadable_photos_are_told_of_and_left_out(new, street, tmp_path):
    good = street(2)
    wrong = {
        str(tmp_path / "text.jpg"): "is not an image in a format Pillow can read",
        str(tmp_path / "empty.jpg"): "is empty (0 bytes)",
        str(tmp_path / "missing.jpg"): "no such file",
        str(tmp_path / "caf\udce9.jpg"): "its name is not UTF-8 text, so no table can hold it: rename it",
    }
    (tmp_path / "text.jpg").write_text("x")
    (tmp_path / "empty.jpg").touch()
    shutil.copy(good.path[0], tmp_path / "caf\udce9.jpg")
    nul = str(tmp_path / "a\0b.jpg")
    places = Places.build(path=[*wrong, good.path[0], nul, good.path[1]], lat=31.26, lon=34.8)
    index = new()
    added = index.add(places)
    assert (added.new, added.known) == (2, 0)
    assert "is not a path" in added.unreadable.pop(nul)
    assert added.unreadable == wrong
    assert index.places.path.tolist() == good.path.tolist()
    assert index.add(places).unreadable.keys() == {*wrong, nul}


def test_an_interrupted_add_keeps_what_was_described(tmp_path, street, grid, new, assert_same_index):
    places = street(110)
    undisturbed = new("undisturbed.vpr")
    undisturbed.add(places, workers=0)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid(after=2))
    with pytest.raises(KeyboardInterrupt):
        index.add(places, workers=0)
    again = PlaceIndex.open(index.folder, grid())
    assert len(again) == 2 * decode.CHUNK
    assert again.locate(places.path[3]).matches[0].path == places.path[3]  # it can be asked already
    assert again.add(places, workers=0) == Added(new=110 - 64, known=64)
    assert_same_index(again, undisturbed)


def test_an_add_that_fails_keeps_what_was_described_too(street, grid, tmp_path):
    index = PlaceIndex.create(tmp_path / "a.vpr", grid(after=1, error=MemoryError("out of memory")))
    with pytest.raises(MemoryError):
        index.add(street(40), workers=0)
    assert len(PlaceIndex.open(index.folder, grid())) == 32


@pytest.mark.parametrize("flushing", [0.0, 1e9])  # at every chunk, at the end only
def test_ctrl_c_while_a_batch_is_written_writes_nothing_twice(street, grid, tmp_path, monkeypatch, new, flushing):
    places = street(70)
    monkeypatch.setattr(adding, "SECONDS", flushing)
    index, flush, calls = new(), versions.flush_version, []

    def interrupted(folder):
        flush(folder)
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt  # the rows are in, but `append` has not come back

    monkeypatch.setattr(versions, "flush_version", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.add(places, workers=0)
    again = PlaceIndex.open(index.folder, grid())
    again.add(places, workers=0)
    assert again.places.path.tolist() == places.path.tolist()


def test_many_batches_are_merged(street, new, monkeypatch, assert_same_index, assert_same_places, grid):
    places = street(110)
    whole = new("whole.vpr")
    whole.add(places, workers=0)
    monkeypatch.setattr(adding, "SECONDS", 0.0)
    monkeypatch.setattr(versions, "FRAGMENTS", 3)
    index, append, batches = new(), Store.append, []
    monkeypatch.setattr(Store, "append", lambda *given, **more: batches.append(1) or append(*given, **more))
    index.add(places, workers=0)
    assert len(batches) == 4
    assert len(index.store._table.get_fragments()) == 1
    assert_same_index(index, whole)
    assert_same_index(PlaceIndex.open(index.folder, grid()), whole)
    assert index.locate(places.path[100]).matches[0].path == places.path[100]


def test_one_writer_at_a_time(new, street):
    index, places = new(), street(2)
    with only_writer(index.folder), pytest.raises(NetvladError, match=r"a\.vpr: another process is writing"):
        index.add(places)
    assert index.add(places).new == 2


def test_what_another_process_added_meanwhile_is_not_added_again(new, street, grid):
    index, places = new(), street(6)
    index.add(places[:2])
    other = PlaceIndex.open(index.folder, grid())
    assert len(other) == 2  # it has looked
    index.add(places[2:5])
    assert other.add(places) == Added(new=1, known=5)
    assert other.places.path.tolist() == places.path.tolist()
    assert other.locate(places.path[4]).matches[0].path == places.path[4]


def test_degrees_and_metres_do_not_mix(new, street):
    places = street(4)
    flat = Places.build(path=places.path[2:], easting=[1.0, 2.0], northing=0.0)
    index = new()
    index.add(places[:2])
    with pytest.raises(PlaceIndexError, match=r"holds places with lat/lon, these have easting/northing without a zone"):
        index.add(flat)
    assert len(index) == 2
    index = new("flat.vpr")
    index.add(flat)
    with pytest.raises(PlaceIndexError, match=r"holds places with easting/northing without a zone, these have lat/lon"):
        index.add(places[:2])
    assert np.isnan(index.locate(places.path[2]).lat)
    assert index.locate(places.path[2]).easting == 1.0


# -- asking -------------------------------------------------------------------------------------------------------


def test_an_empty_index(new, street):
    index = new()
    assert len(index) == len(index.places) == 0
    with pytest.raises(PlaceIndexError, match=r"a\.vpr: holds no photos yet; add some first"):
        index.locate("q.jpg")
    with pytest.raises(PlaceIndexError, match="holds no photos yet"):
        index.locate_all(["q.jpg"])
    assert index.add(street(0)) == Added()
    ranking = index.rank(street(2).path, 3)
    ids, scores = ranking.ids, ranking.scores
    assert ids.tolist() == [[-1] * 3] * 2
    assert np.isneginf(scores).all()


def test_an_index_of_one_photo(new, street):
    index = new()
    index.add(street(1))
    found = index.locate(street(3).path[2], top=7)
    assert len(found.matches) == 1
    assert (found.confidence, found.absent, found.in_map) == (None, None, None)
    assert (index.calibration, index.uncalibrated) == (None, "1 photo is too few to learn from (at least 20)")


@pytest.mark.parametrize("top", [0, -3])
def test_no_matches_asked_for(new, street, top):
    index = new()
    index.add(street(1))
    for ask in (lambda: index.locate("q.jpg", top=top), lambda: index.locate_all(["q.jpg"], top=top)):
        with pytest.raises(PlaceIndexError, match=f"must be at least 1, got {top}"):
            ask()


def test_all_ways_to_hand_a_photo_over(new, street):
    index, places = new(), street(5)
    index.add(places)
    path = places.path[2]
    with Image.open(path) as image:
        ways = [path, Path(path), Path(path).read_bytes(), np.asarray(image.convert("RGB")), image]
        answers = [index.locate(way, top=3) for way in ways]
    assert [a.query for a in answers] == [path, path, "", "", ""]
    for answer in answers:
        assert [m.path for m in answer] == [m.path for m in answers[0]]
        assert answer.matches[0].path == path
        assert [m.distance for m in answer] == pytest.approx([m.distance for m in answers[0]])


def test_a_photo_that_cannot_be_read(new, street, tmp_path):
    index = new()
    index.add(street(2))
    with pytest.raises(ImageError, match=r"none\.jpg: no such file"):
        index.locate(tmp_path / "none.jpg")


def test_locate_all_is_locate_for_each(new, street, tmp_path):
    index, places = new(), street(6)
    index.add(places[:4])
    missing = str(tmp_path / "none.jpg")
    asked = [places.path[5], missing, places.path[0]]
    found = index.locate_all(asked, top=2)
    assert found.unreadable == {missing: "no such file"}
    assert [answer.query for answer in found.locations] == [asked[0], asked[2]]
    for answer in found.locations:
        alone = index.locate(answer.query, top=2)
        assert [m.path for m in answer] == [m.path for m in alone]
        assert [m.distance for m in answer] == pytest.approx([m.distance for m in alone], abs=1e-6)
    assert index.locate_all([]) == Located([])
    assert index.locate_all([missing] * 2) == Located([], {missing: "no such file"})


def test_rank_is_brute_force_over_the_rows(new, street, grid, tmp_path):
    index, places = new(), street(20)
    index.add(places[:15], workers=0)
    missing = str(tmp_path / "none.jpg")
    queries = [*places.path[15:], missing]
    ranking = index.rank(queries, 18)
    ids, scores = ranking.ids, ranking.scores
    squared = ((grid().describe(places.path[15:])[:, None] - vectors_of(index)) ** 2).sum(-1)
    np.testing.assert_array_equal(ids[:5, :15], np.argsort(squared, axis=1, kind="stable"))
    np.testing.assert_allclose(scores[:5, :15], -np.sort(squared, axis=1), rtol=1e-5, atol=1e-7)
    assert (ids[:, 15:] == -1).all()
    assert (ids[5] == -1).all()
    assert np.isneginf(scores[5]).all()
    assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
    assert ranking.unreadable == {missing: "no such file"}


# -- confidence ---------------------------------------------------------------------------------------------------


def test_answers_carry_a_confidence_once_it_could_be_learnt(new, walks, grid, monkeypatch):
    index = new()
    places = walks(3, 60)
    index.add(places, workers=0)
    assert isinstance(index.calibration, Calibration)
    assert (index.calibration.how, index.calibration.asked) == ("leave-one-session-out", 180)
    fresh = walks(1, 60, seed=1)
    answers = index.locate_all(fresh.path, workers=0).locations
    right = np.abs([a.easting for a in answers] - fresh.easting) <= 25
    sure = np.array([a.confidence for a in answers])
    assert 5 < right.sum() < 55
    assert sure[right].mean() > sure[~right].mean() + 0.2
    assert all(0 <= a.absent <= 1 and a.confidence + a.absent <= 1 + 1e-9 for a in answers)
    # how many matches are asked for does not change it
    assert [index.locate(fresh.path[1], top=top).confidence for top in (1, 60, 500)] == [answers[1].confidence] * 3
    # kept on the disk
    monkeypatch.setattr(calibration_file, "calibrate", None)
    again = PlaceIndex.open(index.folder, grid())
    assert again.calibration == index.calibration
    assert again.locate(fresh.path[0]).confidence == pytest.approx(sure[0], abs=1e-6)


def test_confidence_is_learnt_anew_with_more_photos(new, walks):
    index, places = new(), walks(3, 40)
    file = index.folder / "calibration.json"
    index.add(places[:10])
    kept = json.loads(file.read_text())
    assert (kept["photos"], kept["reason"]) == (10, "10 photos are too few to learn from (at least 20)")
    index.add(places[:80], workers=0)
    first = index.calibration
    assert first.asked == json.loads(file.read_text())["photos"] == 80
    index.add(places, workers=0)
    assert index.calibration.asked == json.loads(file.read_text())["photos"] == 120
    assert index.calibration != first


@pytest.mark.parametrize("left", [None, "", "{", '{"photos": 120}', '{"photos": 120, "weights": [], "more": 1}', "[]"])
def test_a_calibration_that_is_lost_or_garbled_is_learnt_anew(new, walks, grid, left):
    index = new()
    index.add(walks(3, 40), workers=0)
    file = index.folder / "calibration.json"
    whole = file.read_text()
    file.unlink()
    if left is not None:
        file.write_text(left)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlaceIndexWarning)
        assert PlaceIndex.open(index.folder, grid()).calibration == index.calibration
    assert file.read_text() == whole


def test_a_lost_faiss_file_is_made_anew(new, street, grid):
    index, places = new(), street(4)
    index.add(places)
    (index.folder / "search.faiss").unlink()
    assert PlaceIndex.open(index.folder, grid()).locate(places.path[1]).matches[0].path == places.path[1]


# -- real photos --------------------------------------------------------------------------------------------------


def test_real_photos(campus, real_weights, tmp_path):
    places = read_places(campus / "west_day.csv")[:40]
    index = PlaceIndex.create(tmp_path / "campus.vpr", netvlad.load("resnet18-max", resize=320))
    assert index.add(places).new == 40
    everything = read_places(campus / "places.csv")
    found = index.locate(read_places(campus / "west_night.csv").path[0])
    assert len(found.matches) == 5
    assert all(0 < m.distance < 2 for m in found)
    assert everything.lat.min() <= found.lat <= everything.lat.max()
    assert everything.lon.min() <= found.lon <= everything.lon.max()
    assert {m.path for m in found} <= set(places.path)
