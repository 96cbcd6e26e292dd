from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.describe import stream
from netvlad.describe.stream import Contents, describe_all, describe_photos
from netvlad.images.decode import CHUNK
from netvlad.images.read import read_image


class MeanColour:
    """The smallest describer there is; remembers how many photos it was given at once."""

    name, dim, smallest, takes_masks, identity, ready, method = "mean", 3, 1, False, "mean", True, None

    def __init__(self, resize: int | None = None):
        self.resize = resize
        self.seen: list[int] = []

    def describe(self, images) -> np.ndarray:
        self.seen.append(len(images))
        means = np.array([image.reshape(-1, 3).mean(axis=0) for image in images]).reshape(-1, 3)
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def colour(path: str, resize: int | None = None) -> np.ndarray:
    return MeanColour().describe([read_image(path, resize=resize)])[0]


def digest(path: str) -> bytes:
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).digest()


@pytest.fixture
def bad(tmp_path) -> str:
    path = tmp_path / "bad.jpg"
    path.write_bytes(b"no photo")
    return str(path)


def test_photos_come_in_order(photos):
    paths = photos(CHUNK + 3)
    chunks = list(describe_photos(MeanColour(resize=16), paths, workers=0))
    assert [chunk.rows for chunk in chunks] == [list(range(CHUNK)), [CHUNK, CHUNK + 1, CHUNK + 2]]
    for chunk in chunks:
        assert (chunk.unreadable, chunk.known) == ({}, {})
        for row, vector, found in zip(chunk.rows, chunk.vectors, chunk.digests, strict=True):
            np.testing.assert_array_equal(vector, colour(paths[row], resize=16))
            assert found == digest(paths[row])


def test_only_some_rows(photos):
    paths = photos(CHUNK + 3)
    chunks = list(describe_photos(MeanColour(), paths, rows=[CHUNK + 1, 4, 2]))
    assert [chunk.rows for chunk in chunks] == [[2, 4], [CHUNK + 1]]
    np.testing.assert_array_equal(chunks[0].vectors, [colour(paths[2]), colour(paths[4])])


def test_unreadable_photos_are_set_aside(photos, bad, tmp_path):
    good = photos(2)
    describer = MeanColour()
    (chunk,) = describe_photos(describer, [bad, good[0], str(tmp_path / "nowhere.jpg"), good[1]])
    assert chunk.rows == [1, 3]
    assert chunk.vectors.shape == (2, 3)
    assert chunk.digests == [digest(path) for path in good]
    assert chunk.unreadable == {0: "is not an image in a format Pillow can read", 2: "no such file"}
    assert describer.seen == [2]


def test_photos_that_are_too_small_are_set_aside(photos):
    class Large(MeanColour):
        smallest = 40

    paths = [photos(1, size, seed=i)[0] for i, size in enumerate([(96, 72), (39, 80), (40, 40), (800, 100)])]
    (chunk,) = describe_photos(Large(), paths)
    assert chunk.rows == [0, 2, 3]
    assert chunk.unreadable == {1: "is too small (39x80; at least 40 pixels a side)"}
    (chunk,) = describe_photos(Large(resize=160), paths)  # what counts is the size that is described
    assert chunk.rows == [0, 2]
    assert chunk.unreadable[3] == "is too small (160x20; at least 40 pixels a side)"
    vectors, unreadable = describe_all(Large(), paths)
    assert np.isnan(vectors[:, 0]).tolist() == [False, True, False, False]
    assert list(unreadable) == [1]


def test_masks_go_to_those_who_take_them(photos, tmp_path):
    class Shapes(MeanColour):
        def describe(self, images) -> np.ndarray:
            self.seen += [image.shape for image in images]
            return np.ones((len(images), 3), dtype=np.float32)

    class Masked(Shapes):
        takes_masks = True

    view, plain = tmp_path / "view.webp", photos(1)[0]
    pixels = np.dstack([read_image(plain), np.full((72, 96), 255, dtype=np.uint8)])
    pixels[:, :30, 3] = 0
    Image.fromarray(pixels).save(view)
    for kind, shapes in ((Shapes, [(36, 48, 3)] * 2), (Masked, [(36, 48, 4), (36, 48, 3)])):
        describer = kind(resize=48)
        describe_all(describer, [str(view), plain])
        assert describer.seen == shapes


def test_nothing_readable(bad):
    (chunk,) = describe_photos(MeanColour(), [bad, bad])
    assert (chunk.rows, chunk.digests, list(chunk.unreadable)) == ([], [], [0, 1])
    assert chunk.vectors.shape == (0, 3)


def test_a_content_is_described_once(photos, bad):
    first, second, third = photos(3)
    copies = [f"{path}.copy.jpg" for path in (first, second)]
    for path, copy in zip((first, second), copies, strict=True):
        shutil.copy(path, copy)
    known = Contents([digest(second)])
    paths = [first, copies[0], copies[1], third, bad, bad, first] + [third] * CHUNK
    chunks = list(describe_photos(MeanColour(), paths, known=known, workers=0))
    assert [chunk.rows for chunk in chunks] == [[0, 3], []]
    assert list(chunks[0].known) == [1, 2, 6, *range(7, CHUNK)]
    assert list(chunks[1].known) == list(range(CHUNK, CHUNK + 7))  # also what a chunk before had
    assert list(chunks[0].unreadable) == [4, 5]
    assert [chunks[0].known[row] for row in (1, 2, 6)] == [digest(path) for path in (first, second, first)]
    assert all(digest(path) in known for path in (first, second, third))
    assert digest(bad) not in known


def test_contents_are_those_that_were_held_and_added(monkeypatch):
    monkeypatch.setattr(stream, "LATEST", 10)
    rng = np.random.default_rng(0)
    digests = [
        bytes(16),
        b"\0" * 15 + b"a",
        b"a" + b"\0" * 15,
        *(rng.bytes(16 - i % 3) + b"\0" * (i % 3) for i in range(60)),
    ]
    known, all_of = Contents(digests[:20]), set(digests[:20])
    for digest in digests[20:45]:
        assert (digest in known) == (digest in all_of)
        known.add(digest)
        all_of.add(digest)
    assert [digest in known for digest in digests] == [True] * 45 + [False] * 18
    assert b"" not in Contents([b"a" * 16])


def test_a_content_known_to_be_bad_is_not_complained_of_again(photos, bad):
    paths = [bad, *photos(1)]
    (chunk,) = describe_photos(MeanColour(), paths, known=Contents([digest(bad)]))
    assert (chunk.rows, chunk.known, chunk.unreadable) == ([1], {0: digest(bad)}, {})


def test_without_known_every_copy_is_described(photos):
    (path,) = photos(1)
    (chunk,) = describe_photos(MeanColour(), [path] * 3)
    assert chunk.rows == [0, 1, 2]
    np.testing.assert_array_equal(chunk.vectors, [colour(path)] * 3)


def test_all_with_gaps_where_unreadable(photos, bad, tmp_path):
    good = photos(2)
    vectors, unreadable = describe_all(MeanColour(), [good[0], bad, good[1], str(tmp_path / "nowhere.jpg")])
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors[[0, 2]], [colour(path) for path in good])
    assert np.isnan(vectors[[1, 3]]).all()
    assert unreadable == {1: "is not an image in a format Pillow can read", 3: "no such file"}


def test_workers_give_the_same(photos, bad):
    paths = photos(CHUNK)
    paths[7:7] = [bad, bad]
    here, there = (describe_all(MeanColour(), paths, workers=workers) for workers in (0, 2))
    np.testing.assert_array_equal(here[0], there[0])
    assert here[1] == there[1]


def test_all_of_nothing():
    vectors, unreadable = describe_all(MeanColour(), [])
    assert vectors.shape == (0, 3)
    assert unreadable == {}


def test_progress_is_by_photos(photos, bad, monkeypatch):
    from contextlib import contextmanager

    said = []

    @contextmanager
    def record(what, total, unit="photos"):
        said.append((what, total))
        yield lambda n: said.append(n)

    monkeypatch.setattr("netvlad.describe.stream.progress", record)
    describe_all(MeanColour(), [*photos(CHUNK), bad], what="whitening", workers=0)
    assert said == [("whitening", CHUNK + 1), CHUNK, 1]
