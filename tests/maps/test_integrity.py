"""Damage to any part of an index is healed and told of, or refused; it never changes an answer silently."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import faiss
import numpy as np
import pytest

import netvlad
from netvlad.errors import ModelError, NetvladError, PlaceIndexError, PlaceIndexWarning
from netvlad.maps.check import check_index
from netvlad.maps.index import PlaceIndex
from netvlad.search.flat_index import FlatIndex
from netvlad.search.search_file import SEAL


@pytest.fixture
def made(tmp_path, walks, grid):
    """An index of 60 photos, and its answers."""
    index = PlaceIndex.create(tmp_path / "a.vpr", grid())
    index.add(walks(3, 20), workers=0)
    return index.folder, answers(index)


def answers(index: PlaceIndex) -> list[dict]:
    photos = index.places.path[::7]
    return [location.to_dict() for location in index.locate_all(photos, workers=0).locations]


def reopened(folder: Path, grid) -> tuple[list[dict], list[str]]:
    """Answers, and what was told."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = answers(PlaceIndex.open(folder, grid()))
    return found, [str(w.message) for w in told if issubclass(w.category, PlaceIndexWarning)]


def flip(file: Path, at: int, bit: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1 << bit
    file.write_bytes(data)


def damaged(folder: Path, deep: bool = False) -> list[str]:
    return [finding.part for finding in check_index(folder, deep=deep) if not finding.sound]


def test_a_sound_index_is_found_sound_and_nothing_is_told(made, grid):
    folder, want = made
    assert damaged(folder, deep=True) == []
    assert reopened(folder, grid) == (want, [])


@pytest.mark.parametrize("at", [3, 40, 1000, 5000, -50, -30, -10, -1])
def test_a_bit_of_the_search_file(made, grid, at):
    folder, want = made
    flip(folder / "search.faiss", at)
    assert damaged(folder) == ["search.faiss"]
    found, told = reopened(folder, grid)
    assert found == want
    assert len(told) == 1
    assert "search.faiss" in told[0]
    assert reopened(folder, grid) == (want, [])  # it was healed


@pytest.mark.parametrize("size", [0, 39, 40, 3000])
def test_half_a_search_file(made, grid, size):
    folder, want = made
    os.truncate(folder / "search.faiss", size)
    assert reopened(folder, grid)[0] == want


@pytest.mark.parametrize("change", ["shuffled", "NaN", "of other rows"])
def test_a_search_file_that_somebody_made(made, grid, change):
    folder, want = made
    file = folder / "search.faiss"
    vectors = np.concatenate(list(PlaceIndex.open(folder, grid()).store.vectors()))
    wrong = {"shuffled": vectors[::-1].copy(), "NaN": np.full_like(vectors, np.nan), "of other rows": vectors[:20]}
    index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
    index.train(vectors)
    index.add(wrong[change])
    faiss.write_index(index, str(file))
    found, told = reopened(folder, grid)
    assert found == want
    assert len(told) == 1


def test_a_sealed_search_file_of_another_index_of_the_same_photos(made, grid, tmp_path):
    folder, want = made
    other = PlaceIndex.create(tmp_path / "b.vpr", grid())
    other.add(PlaceIndex.open(folder, grid()).places, workers=0)
    shutil.copy(other.folder / "search.faiss", folder / "search.faiss")
    found, told = reopened(folder, grid)
    assert (found, len(told)) == (want, 1)
    for part in ("manifest.json", "places.lance"):
        copy = tmp_path / part
        shutil.copytree(folder, copy)
        if part == "places.lance":
            shutil.rmtree(copy / part)
            shutil.copytree(other.folder / part, copy / part)
        else:
            shutil.copy(other.folder / part, copy / part)
        with pytest.raises(PlaceIndexError, match="another index"):
            answers(PlaceIndex.open(copy, grid()))


def test_bits_of_the_table(made, grid, tmp_path):
    """Each bit either changes no answer, or the index is refused."""
    folder, want = made
    (file,) = (folder / "places.lance" / "data").iterdir()
    size, rng, refused = file.stat().st_size, np.random.default_rng(0), 0
    for at in rng.choice(size, 40, replace=False):
        flip(file, at)
        for name in ("search.faiss", "calibration.json"):
            (folder / name).unlink(missing_ok=True)  # so that the vectors are read
        try:
            assert reopened(folder, grid)[0] == want
        except PlaceIndexError:
            refused += 1
            assert damaged(folder, deep=True) == ["places.lance"]
        flip(file, at)
    assert refused > 20


@pytest.mark.parametrize("part", ["data", "_versions"])
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "a folder"])
def test_a_file_of_the_table_that_is_gone(made, grid, part, how):
    folder, _ = made
    for file in sorted((folder / "places.lance" / part).glob("*.[lm]a*")):
        size = file.stat().st_size
        if how in ("missing", "a folder"):
            file.unlink()
        if how == "a folder":
            file.mkdir()
        elif how in ("empty", "cut"):
            os.truncate(file, 0 if how == "empty" else size // 2)
    with pytest.raises(PlaceIndexError):
        answers(PlaceIndex.open(folder, grid()))
    assert damaged(folder) == ["places.lance"]


def test_a_version_of_the_table_that_is_gone_is_told_of(tmp_path, walks, grid):
    index, places = PlaceIndex.create(tmp_path / "a.vpr", grid()), walks(3, 20)
    index.add(places[:40], workers=0)
    index.add(places, workers=0)
    versions = index.folder / "places.lance" / "_versions"
    newest = max(versions.glob("*.manifest"), key=lambda file: file.stat().st_mtime_ns)
    newest.unlink()
    (versions / "latest_version_hint.json").unlink(missing_ok=True)
    with pytest.warns(PlaceIndexWarning, match="covers 60 photos where the table holds 40"):
        answers(PlaceIndex.open(index.folder, grid()))


@pytest.mark.parametrize("file", ["manifest.json", "calibration.json"])
def test_a_digit_of_a_json_file(made, grid, file):
    folder, want = made
    text = (folder / file).read_text()
    digits = [i for i, letter in enumerate(text) if letter.isdigit()]
    for i in digits[:: max(1, len(digits) // 12)]:
        (folder / file).write_text(text[:i] + str((int(text[i]) + 1) % 10) + text[i + 1 :])
        try:
            found, told = reopened(folder, grid)
            assert found == want
            assert file == "calibration.json"
            assert len(told) == 1 or "photos" in text[:i].rpartition('"')[0] or "rows" in text[:i]
        except PlaceIndexError:
            assert file == "manifest.json"
        (folder / file).write_text(text)


@pytest.mark.parametrize(
    "value", ["null", '"x"', "[]", "{}", "1e999", "-1", "NaN", "[" * 50_000, '{"scale": [0, 0, 0]}']
)
def test_a_calibration_of_another_shape(made, grid, value):
    folder, want = made
    (folder / "calibration.json").write_text(value)
    found, _ = reopened(folder, grid)
    assert found == want


def test_a_model_of_another_fit(weights, tmp_path, photos):
    paths = photos(8)
    places = netvlad.Places.build(path=paths, lat=31.26, lon=np.linspace(34.8, 34.81, 8))
    folders = []
    for seed in (0, 1):
        model = netvlad.fit(netvlad.load("test_resnet-netvlad", clusters=4), paths, seed=seed)
        index = PlaceIndex.create(tmp_path / f"{seed}.vpr", model)
        index.add(places, workers=0)
        folders.append(index.folder)
    assert damaged(folders[0], deep=True) == []
    shutil.rmtree(folders[0] / "model")
    shutil.copytree(folders[1] / "model", folders[0] / "model")
    assert damaged(folders[0]) == ["model"]
    with pytest.raises(PlaceIndexError, match="but the vectors are by test_resnet-netvlad"):
        PlaceIndex.open(folders[0]).locate(paths[0])
    flip(folders[1] / "model" / "model.safetensors", -5)
    assert damaged(folders[1]) == ["model"]
    with pytest.raises(ModelError, match="checksum differs"):
        PlaceIndex.open(folders[1]).locate(paths[0])


def test_a_disk_that_takes_nothing(made, grid, monkeypatch):
    folder, want = made
    (folder / "search.faiss").unlink()
    (folder / "calibration.json").unlink()

    def full(*_):
        raise RuntimeError("Error: 'ret == (size)' failed: write error: No space left on device")

    monkeypatch.setattr(faiss, "write_index", full)
    assert reopened(folder, grid)[0] == want
    assert not (folder / "search.faiss").exists()
    assert [f.name for f in folder.iterdir() if f.name.endswith(".tmp")] == []


def test_a_search_file_ends_in_its_seal(made):
    folder, _ = made
    assert (folder / "search.faiss").read_bytes().endswith(SEAL)
    assert faiss.read_index(str(folder / "search.faiss")).ntotal == 60  # faiss reads it as its own


def test_an_unsealed_file_of_an_unsealed_table_is_taken(made, grid):
    """Indexes of before there were checksums."""
    folder, _ = made
    store = PlaceIndex.open(folder, grid()).store

    class Older:
        dim, vectors = store.dim, store.vectors

        def __len__(self):
            return len(store)

        def fingerprint(self, rows):
            return b""

    file = folder / "search.faiss"
    os.truncate(file, file.stat().st_size - 40)
    before = file.read_bytes()
    assert FlatIndex(Older(), file).search(next(store.vectors())[:1], 1)[1].tolist() == [[0]]
    assert file.read_bytes() == before


def test_a_forked_process_is_refused(made, grid):
    index = PlaceIndex.open(made[0], grid())
    photo = index.places.path[0]
    index.locate(photo)
    here = multiprocessing.get_context("fork")
    said, heard = here.Pipe()

    def ask() -> None:
        try:
            index.locate(photo)
        except NetvladError as e:
            heard.send(e.reason)

    child = here.Process(target=ask)
    child.start()
    assert said.poll(20)
    assert "forked" in said.recv()
    child.join(20)


def test_code_of_a_repository_is_not_run_unasked(tmp_path):
    card = {"format": 1, "kind": "hub", "name": "megaloc", "architecture": {"hub": "megaloc"}, "checksum": "x"}
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"https://github\.com/gmberton/MegaLoc.*--trust-code"):
        netvlad.load(tmp_path)


def test_the_command_checks_and_tells(made):
    folder, _ = made
    flip(folder / "search.faiss", 100)
    command = [sys.executable, "-m", "netvlad", "check", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "DAMAGED  search.faiss" in done.stdout
    assert "ok       manifest.json" in done.stdout


def test_who_asks_an_earlier_version_leaves_the_files_of_the_newest_alone(made, grid, recwarn):
    folder, _ = made
    asking = PlaceIndex.open(folder, grid())
    photos = asking.places.path  # it has opened the table, and neither search file nor calibration
    PlaceIndex.open(folder, grid()).remove(photos[:3].tolist())
    newest = {name: (folder / name).read_bytes() for name in ("search.faiss", "calibration.json")}
    assert asking.locate(photos[0]).matches[0].path == photos[0]
    assert len(PlaceIndex.open(folder, grid()).locate(photos[0], top=100).matches) == 57
    assert {name: (folder / name).read_bytes() for name in newest} == newest
    assert [w for w in recwarn if issubclass(w.category, PlaceIndexWarning)] == []
