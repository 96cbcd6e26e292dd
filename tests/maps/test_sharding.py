"""A map in shards answers as the map that it was cut from."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.maps import sharding
from netvlad.maps.check import check_index
from netvlad.maps.index import PlaceIndex
from netvlad.maps.manifest import read_manifest
from netvlad.maps.remote import read_small
from netvlad.maps.sharding import write_shards
from netvlad.maps.store import Store
from netvlad.maps.where import Where
from netvlad.places import Places
from netvlad.runtime.files import read_sealed, write_sealed
from netvlad.search import trained_codes
from netvlad.search.options import SearchOptions

COMPRESSED = SearchOptions("compressed")


@pytest.fixture
def made(tmp_path, walks, grid):
    """make(search=...) -> an index of 60 photos."""

    def make(search: SearchOptions | None = None, name: str = "a.vpr") -> PlaceIndex:
        index = PlaceIndex.create(tmp_path / name, grid())
        index.search = search
        street = walks(3, 20)
        lat = 31.26 + (street.easting + street.northing) / 111_000
        index.add(Places.build(path=street.path, lat=lat, lon=34.8, time=street.time), workers=0)
        return index

    return make


@pytest.fixture
def cut(tmp_path, grid):
    """cut(index, shards=3) -> the same in shards, opened."""

    def write(index: PlaceIndex, shards: int = 3, out=tmp_path / "a.shards") -> PlaceIndex:
        write_shards(index, out, shards)
        return PlaceIndex.open(out, grid())

    return write


def answers(index: PlaceIndex, photos, **how) -> list:
    return [found.to_dict() for found in index.locate_all(photos, 8, workers=0, **how).locations]


def test_it_answers_as_the_map_with_and_without_a_region(made, cut):
    whole = made()
    sharded = cut(whole)
    assert len(sharded) == len(whole)
    photos = whole.places.path[::7].tolist()
    assert answers(sharded, photos) == answers(whole, photos)
    lat, lon = whole.places.lat[30], whole.places.lon[30]
    for where in (Where(near=(lat, lon, 150.0)), Where(bbox=(34, 31, 35, float(lat)))):
        one, many = (answers(index, photos, where=where) for index in (whole, sharded))
        assert [a["matches"] for a in many] == [a["matches"] for a in one]
    ranked = sharded.rank(photos, 3, workers=0)
    assert sharded.places.path[ranked.ids[:, 0]].tolist() == photos


def test_a_region_opens_only_the_shards_that_it_reaches(made, cut):
    whole = made()
    sharded = cut(whole)
    shards = read_manifest(sharded.folder).shards
    assert [shard.photos for shard in shards] == [20, 20, 20]
    first = min(shards, key=lambda shard: shard.bounds[1])
    others = [shard.name for shard in shards if shard is not first]
    for name in others:
        shutil.rmtree(sharded.folder / name)
    south = Where(bbox=(*first.bounds[:2], first.bounds[2], first.bounds[1] + 1e-5))
    photo = whole.places.path[0]
    assert answers(sharded, [photo], where=south)
    with pytest.raises(PlaceIndexError) as refused:
        answers(sharded, [photo])
    assert any(name in str(refused.value.path) for name in others)


def test_each_shard_is_a_map_by_itself(made, cut, grid):
    whole = made()
    sharded = cut(whole)
    photo = whole.places.path[5]
    found = [PlaceIndex.open(sharded.folder / s.name, grid()) for s in read_manifest(sharded.folder).shards]
    assert sum(map(len, found)) == len(whole)
    best = [index.locate(photo).matches[0] for index in found]
    assert min(best, key=lambda match: match.distance).path == photo
    assert np.concatenate([index.places.path for index in found]).tolist() == sharded.places.path.tolist()


def test_compressed_shards_share_what_was_learnt_and_find_the_same(made, cut):
    whole = made(COMPRESSED)
    sharded = cut(whole)
    told = [
        (sharded.folder / s.name / trained_codes.TRAINED).read_bytes() for s in read_manifest(sharded.folder).shards
    ]
    assert len(set(told)) == 1
    photos = whole.places.path[::5].tolist()
    assert [a["matches"] for a in answers(sharded, photos)] == [a["matches"] for a in answers(whole, photos)]
    assert [finding for finding in check_index(sharded.folder, deep=True) if not finding.sound] == []


def test_damaged_centres_are_learnt_anew(made, cut, grid):
    sharded = cut(made(COMPRESSED))
    shard = sharded.folder / "shard-0.vpr"
    content = (shard / trained_codes.TRAINED).read_bytes()
    (shard / trained_codes.TRAINED).write_bytes(content[:-50] + b"x" + content[-49:])
    (shard / "search.faiss").unlink()
    with pytest.warns(UserWarning, match="damaged"):
        assert PlaceIndex.open(shard, grid()).locate(sharded.places.path[0]).matches


def test_it_is_not_changed_and_a_changed_shard_is_noticed(made, cut, grid, walks):
    sharded = cut(made())
    more = walks(1, 5, seed=1)
    for change in (
        lambda: sharded.add(more),
        lambda: sharded.sync(more, dry_run=True),
        lambda: sharded.remove(Where(after="1990")),
        sharded.versions,
        lambda: sharded.restore(1),
    ):
        with pytest.raises(PlaceIndexError, match="netvlad shard"):
            change()
    with pytest.raises(PlaceIndexError, match="netvlad shard"):
        sharded.store.remove(np.array([0]))
    PlaceIndex.open(sharded.folder / "shard-1.vpr", grid()).remove(Where(bbox=(34, 31, 35, 31.264)))
    assert [f.part for f in check_index(sharded.folder) if not f.sound] == ["shard-1.vpr"]
    with pytest.raises(PlaceIndexError, match="was changed"):
        PlaceIndex.open(sharded.folder, grid()).locate(more.path[0])


def test_what_cannot_be_cut_and_where_it_cannot_go(made, cut, tmp_path):
    index = made()
    for shards in (1, 61):
        with pytest.raises(NetvladError, match="2 to 60"):
            cut(index, shards)
    cut(index)
    with pytest.raises(PlaceIndexError, match="already"):
        cut(index)
    assert len(index) == 60


@pytest.mark.parametrize(("there", "batch"), [("folder", 1), ("folder", 2), ("folder", 5), ("address", 3)])
def test_a_cut_that_was_interrupted_goes_on_behind_its_last_whole_shard(
    made, grid, tmp_path, bucket, monkeypatch, there, batch
):
    whole = made(COMPRESSED)
    out = tmp_path / "a.shards" if there == "folder" else f"{bucket}/{batch}.shards"
    monkeypatch.setattr(sharding, "BLOCK_BYTES", 10 * 2 * whole.dim)  # two batches for each of three shards
    trained, learnt = sharding._trained, []
    monkeypatch.setattr(sharding, "_trained", lambda *given: learnt.append(1) or trained(*given))
    real, put = Store.put, []

    def stopping(store, rows):
        if len(put) == batch:
            raise KeyboardInterrupt
        put.append(len(rows))
        real(store, rows)

    monkeypatch.setattr(Store, "put", stopping)
    with pytest.raises(KeyboardInterrupt):
        write_shards(whole, out, 3)
    with pytest.raises(PlaceIndexError, match="already"):
        write_shards(whole, out, 2)  # another cut
    put += [0] * 100  # it is not stopped again
    write_shards(whole, out, 3)
    assert len(put) - 100 == batch + 6 - batch // 2 * 2
    assert len(learnt) == 1 + (batch < 2)
    sharded = PlaceIndex.open(out, grid())
    photos = whole.places.path[::7].tolist()
    assert answers(sharded, photos) == answers(whole, photos)
    assert [finding for finding in check_index(sharded.folder, deep=True) if not finding.sound] == []
    assert read_small(sharded.folder, sharding.CUTTING) is None
    with pytest.raises(PlaceIndexError, match="already"):
        write_shards(whole, out, 3)


@pytest.mark.parametrize("shards", ["x", [1], [{"name": "shard-0.vpr"}]])
def test_a_manifest_with_garbled_shards_is_refused(made, cut, grid, shards):
    file = cut(made()).folder / "manifest.json"
    write_sealed(file, {**read_sealed(file), "shards": shards})
    with pytest.raises(PlaceIndexError, match="shard"):
        PlaceIndex.open(file.parent, grid())


def test_the_commands_take_a_map_in_shards(netvlad, index, town, tmp_path):
    out = tmp_path / "town.shards"
    ran = netvlad("shard", index, "--shards", 2, "--out", out)
    assert (ran.code, "8 photos in 2 shards" in ran.err) == (0, True), ran.err
    given = ["locate", town / "3.jpg", "--json", "--index"]
    assert json.loads(netvlad(*given, out).out) == json.loads(netvlad(*given, index).out)
    near = ["--near", "31.26,34.8,20m"]
    told = json.loads(netvlad(*given, out, *near).out)
    assert {match["path"] for match in told[0]["matches"]} == {str(town / f"{i}.jpg") for i in (0, 1)}
    told = json.loads(netvlad("info", out).out)
    assert (told["photos"], [shard["photos"] for shard in told["shards"]]) == (8, [4, 4])
    assert netvlad("check", out).code == 0


def test_a_map_in_shards_at_an_address(netvlad, index, town, bucket, tmp_path, monkeypatch):
    out = f"{bucket}/town.shards"
    assert netvlad("shard", index, "--shards", 2, "--out", out).code == 0
    monkeypatch.setenv("NETVLAD_CACHE", str(tmp_path / "laptop"))  # another machine
    given = ["locate", town / "6.jpg", "--json", "--index"]
    assert json.loads(netvlad(*given, out, "--near", "31.2606,34.8,5m").out)[0]["matches"][0]["path"].endswith("6.jpg")
    asked = [folder for folder in (tmp_path / "laptop" / "maps").iterdir() if (folder / "search.faiss").exists()]
    assert len(asked) == 1  # of the other region nothing was fetched
    assert json.loads(netvlad(*given, out).out) == json.loads(netvlad(*given, index).out)
    assert netvlad("shard", index, "--shards", 2, "--out", out).code == 1
