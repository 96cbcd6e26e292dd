from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from fixtures.xfeat import boxes
from netvlad.errors import NetvladError
from netvlad.features.store import FeatureStore
from netvlad.features.verification import verify
from netvlad.places import Places
from netvlad.training import verified as module
from netvlad.training.verified import VerifiedPairs, verified_pairs


@pytest.fixture(autouse=True)
def by_rootsift(request):
    """Where a test does not ask for the real XFeat, it is not there."""
    if "real_xfeat" not in request.fixturenames:
        request.getfixturevalue("without_xfeat")


def texture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = [cv2.resize(rng.uniform(-1, 1, (120 // s + 2, 160 // s + 2, 3)), (160, 120)) for s in (3, 6, 12, 24)]
    return np.clip(128 + 60 * sum(parts), 0, 255).astype(np.uint8)


@pytest.fixture
def scenes(tmp_path):
    """database, queries: query i shows what database photos 2i and 2i + 1 show, but the last of each is another."""
    turn = cv2.getRotationMatrix2D((80, 60), 6, 0.95)
    held, asked = [], []
    for i in range(4):
        image = texture(i)
        views = [image, cv2.warpAffine(image, turn, (160, 120), borderMode=cv2.BORDER_REFLECT)]
        for j, view in enumerate([*views, cv2.flip(views[1], -1)]):
            path = tmp_path / f"{i}_{j}.png"
            Image.fromarray(view if (i, j) != (3, 1) else texture(99)).save(path)
            (asked if j == 2 else held).append(str(path))
    return tuple(Places.build(path=paths, easting=np.arange(len(paths)), northing=0.0) for paths in (held, asked))


PAIRS = [(0, [0, 1, 5]), (1, np.array([3, 2, 0])), (3, [6, 7])]


def by_hand(database, queries, model: str = "homography") -> list[list[int]]:
    store = FeatureStore(most=1000)
    pairs = [(q, int(d)) for q, ds in PAIRS for d in ds]
    return [[q, d, len(verify(store.of(queries.path[q]), store.of(database.path[d]), model))] for q, d in pairs]


def rows(found: VerifiedPairs) -> list[list[int]]:
    return np.stack([found.query, found.database, found.inliers], axis=1).tolist()


@pytest.mark.parametrize(("workers", "model"), [(0, "homography"), (0, "fundamental"), (2, "homography")])
def test_pairs_of_one_scene_are_confirmed(scenes, workers, model):
    database, queries = scenes
    found = verified_pairs(database, queries, PAIRS, model=model, workers=workers)
    want = by_hand(database, queries, model)
    assert rows(found) == want
    assert len(found) == 8
    assert sorted(found.of(0)) == [0, 1]
    assert sorted(found.of(1)) == [2, 3]
    assert found.of(3).tolist() == [6]
    assert found.of(2).tolist() == []
    counts = {(q, d): n for q, d, n in want}
    assert [counts[0, d] for d in found.of(0)] == sorted((counts[0, 0], counts[0, 1]), reverse=True)  # most first
    assert found.of(0, least=10**6).tolist() == []
    assert found.of(1, least=0).tolist() == [d for d in sorted((3, 2, 0), key=lambda d: -counts[1, d]) if counts[1, d]]
    assert found.least == {"homography": 12, "fundamental": 20}[model]
    assert verified_pairs(database, queries, PAIRS, least=30, model=model, workers=0).least == 30


def test_features_of_each_photo_are_found_once(scenes, monkeypatch, tmp_path):
    database, queries = scenes
    done, whole = [], FeatureStore._find
    monkeypatch.setattr(FeatureStore, "_find", lambda self, data, path: (done.append(path), whole(self, data, path))[1])
    verified_pairs(database, queries, PAIRS, workers=0, features=tmp_path / "f")
    needed = {queries.path[q] for q, _ in PAIRS} | {database.path[d] for _, ds in PAIRS for d in ds}
    assert sorted(done) == sorted(needed)
    verified_pairs(database, queries, PAIRS, model="fundamental", workers=0, features=tmp_path / "f")
    assert len(done) == len(needed)


def test_saved_and_loaded(scenes, tmp_path):
    found = verified_pairs(*scenes, PAIRS, workers=0)
    found.save(tmp_path / "a.parquet")
    again = VerifiedPairs.load(tmp_path / "a.parquet")
    assert rows(again) == rows(found)
    assert (again.least, again.how, again.unreadable) == (found.least, found.how, found.unreadable)
    assert again.of(0).tolist() == found.of(0).tolist()
    for name in ("query", "database", "inliers"):
        assert getattr(again, name).dtype == getattr(found, name).dtype
    nothing = verified_pairs(*scenes, [], workers=0)
    nothing.save(tmp_path / "b.parquet")
    assert len(VerifiedPairs.load(tmp_path / "b.parquet")) == 0
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"query": [1], "database": [1], "inliers": [1]}), tmp_path / "foreign.parquet")
    (tmp_path / "bad.parquet").write_text("x")
    for name, why in (("bad", "is not a file of"), ("foreign", "is not a file of"), ("none", "no such file")):
        with pytest.raises(NetvladError, match=why):
            VerifiedPairs.load(tmp_path / f"{name}.parquet")


def test_known_pairs_are_not_verified_again(scenes, tmp_path, monkeypatch):
    database, queries = scenes
    file = tmp_path / "pairs.parquet"
    first = verified_pairs(database, queries, PAIRS[:2], file=file, workers=0)
    assert rows(VerifiedPairs.load(file)) == rows(first)
    done = []
    monkeypatch.setattr(module, "verify", lambda *given: (done.append(1), verify(*given))[1])
    whole = verified_pairs(database, queries, PAIRS, file=file, workers=0)
    assert len(done) == 2
    assert rows(whole) == by_hand(database, queries)
    assert rows(VerifiedPairs.load(file)) == rows(whole)
    # asked for less, what is in the file stays in it, and in the result
    again = verified_pairs(database, queries, [PAIRS[2]], file=file, workers=0)
    assert len(done) == 2
    assert sorted(rows(again)) == sorted(rows(whole))


@pytest.mark.parametrize(
    ("other", "why"),
    [({"model": "fundamental"}, "with model homography, not fundamental"), ({"most": 50}, "with most 1000, not 50")],
)
def test_a_file_of_other_settings_is_refused(scenes, tmp_path, other, why):
    database, queries = scenes
    file = tmp_path / "pairs.parquet"
    verified_pairs(database, queries, PAIRS[:1], file=file, workers=0)
    with pytest.raises(NetvladError, match=why):
        verified_pairs(database, queries, PAIRS[:1], file=file, workers=0, **other)
    with pytest.raises(NetvladError, match="with photos"):
        verified_pairs(database[1:], queries, PAIRS[:1], file=file, workers=0)


def test_photos_that_cannot_be_read_confirm_nothing(scenes, tmp_path):
    from pathlib import Path

    database, queries = scenes
    good = {path: Path(path).read_bytes() for path in (database.path[1], queries.path[1])}
    Path(database.path[1]).write_text("x")
    Path(queries.path[1]).unlink()
    file = tmp_path / "pairs.parquet"
    found = verified_pairs(database, queries, PAIRS, file=file, workers=0)
    assert found.unreadable == {
        database.path[1]: "is not an image in a format Pillow can read",
        queries.path[1]: "no such file",
    }
    assert found.inliers[[1, 3, 4, 5]].tolist() == [-1] * 4
    assert found.of(0, least=0).tolist()[0] == 0
    assert found.of(1, least=-5).tolist() == []
    for path, data in good.items():  # they came back
        Path(path).write_bytes(data)
    again = verified_pairs(database, queries, PAIRS, file=file, workers=0)
    assert again.unreadable == {}
    assert rows(again) == by_hand(database, queries)


def test_wrong_settings(scenes):
    with pytest.raises(NetvladError, match="choose one of homography"):
        verified_pairs(*scenes, PAIRS, model="affine")
    with pytest.raises(NetvladError, match="choose one of rootsift"):
        verified_pairs(*scenes, PAIRS, kind="surf", workers=0)


def test_a_file_keeps_its_kind(scenes, tmp_path, made_up_xfeat, monkeypatch):
    """Weights that were installed meanwhile do not put an end to what was begun without them."""
    database, queries = scenes
    file = tmp_path / "pairs.parquet"
    first = verified_pairs(database, queries, PAIRS[:1], file=file, workers=0)
    assert (first.how["kind"], first.least) == ("rootsift", 12)
    monkeypatch.setattr("netvlad.features.local_features.find_xfeat", lambda: made_up_xfeat)
    more = verified_pairs(database, queries, PAIRS[:2], file=file, workers=0)
    assert more.how["kind"] == "rootsift"
    anew = verified_pairs(database, queries, PAIRS[:1], workers=0)
    assert (anew.how["kind"], anew.least) == ("xfeat", 12)
    with pytest.raises(NetvladError, match="kind rootsift, not xfeat"):
        verified_pairs(database, queries, PAIRS[:1], kind="xfeat", file=file, workers=0)


def test_pairs_by_xfeat(real_xfeat, tmp_path):
    """Query i shows by night what database photo i shows by day."""
    for seed in range(3):
        Image.fromarray(boxes(seed)).save(tmp_path / f"{seed}.png")
        Image.fromarray(boxes(seed)[10:, 14:] // 4 + 3).save(tmp_path / f"night{seed}.png")
    places = [
        Places.build(path=[str(tmp_path / f"{name}{i}.png") for i in range(3)], easting=[0, 1, 2], northing=0.0)
        for name in ("", "night")
    ]
    found = verified_pairs(*places, [(i, [0, 1, 2]) for i in range(3)], workers=0)
    assert found.how["kind"] == "xfeat"
    # boxes are alike everywhere, so that more agree by chance than between real photos
    assert [found.of(i, least=40).tolist() for i in range(3)] == [[0], [1], [2]]
    assert [found.of(i)[0] for i in range(3)] == [0, 1, 2]


SCRIPT = """
import sys, time
import numpy as np
from netvlad.places import Places
from netvlad.training import verified
held, asked = (Places.build(path=p.split("|"), easting=0.0, northing=0.0) for p in sys.argv[1:3])
verified.SECONDS = 0
whole = verified.verify
verified.verify = lambda *given: (time.sleep(0.3), whole(*given))[1]
verified.verified_pairs(held, asked, [(i, [0, 1, 2]) for i in range(4)], kind="rootsift", file=sys.argv[3], workers=0)
"""


@pytest.mark.skipif(os.name == "nt", reason="kills by a POSIX signal")
def test_goes_on_after_a_kill(scenes, tmp_path):
    database, queries = (Places.build(path=p.path, easting=0.0, northing=0.0) for p in scenes)
    file = tmp_path / "pairs.parquet"
    command = [sys.executable, "-c", SCRIPT, "|".join(database.path), "|".join(queries.path), str(file)]
    process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)})
    until = time.monotonic() + 60
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = VerifiedPairs.load(file)
    assert 3 <= len(left) < 12
    pairs = [(i, [0, 1, 2]) for i in range(4)]
    whole = verified_pairs(database, queries, pairs, file=file, workers=0)
    assert rows(whole) == rows(verified_pairs(database, queries, pairs, workers=0))
    assert rows(whole)[: len(left)] == rows(left)
