from __future__ import annotations

import faiss
import numpy as np
import pytest
from filelock import FileLock

from netvlad.maps.stamps import FileStamp
from netvlad.maps.store import Store
from netvlad.places import Places
from netvlad.search.flat_index import FlatIndex, rank_vectors


def append(store: Store, vectors: np.ndarray) -> None:
    first, n = len(store), len(vectors)
    places = Places.build(path=[f"/{first + i}.jpg" for i in range(n)], lat=1.0, lon=2.0)
    digests = [(first + i).to_bytes(16, "big") for i in range(n)]
    store.append(places, [FileStamp(1, 1)] * n, digests, vectors)


def brute_force(stored: np.ndarray, queries: np.ndarray, k: int):
    """Squared distances to the float16 of `stored`, by the definition, and rows; ties in the order of the rows."""
    half = stored.astype(np.float16).astype(np.float64)
    squared = ((queries[:, None].astype(np.float64) - half) ** 2).sum(-1)
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(squared, order, 1), order


@pytest.fixture
def made(tmp_path):
    """make(vectors, at a time) -> (store, file)"""

    def make(vectors: np.ndarray, step: int = 100):
        store = Store.create(tmp_path / "t.lance", vectors.shape[1])
        for first in range(0, len(vectors), step):
            append(store, vectors[first : first + step])
        return store, tmp_path / "search.faiss"

    return make


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("count", [1, 30])  # faiss has another way for many queries
def test_it_is_brute_force_over_the_float16_vectors(made, rng, count):
    vectors = rng.normal(size=(230, 24)).astype(np.float32)
    queries = rng.normal(size=(count, 24)).astype(np.float32)
    squared, rows = FlatIndex(*made(vectors)).search(queries, 17)
    want, order = brute_force(vectors, queries, 17)
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_allclose(squared, want, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 4, 60, 200])
@pytest.mark.parametrize("count", [1, 30])
def test_ties_come_in_the_order_of_the_rows(made, rng, k, count):
    vectors = rng.integers(-1, 2, (200, 4)).astype(np.float32)  # 81 different ones at most: many ties
    queries = rng.integers(-1, 2, (count, 4)).astype(np.float32)
    squared, rows = FlatIndex(*made(vectors)).search(queries, k)
    want, order = brute_force(vectors, queries, k)
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(squared, want)


def test_beyond_the_end_there_is_nothing(made, rng):
    vectors = rng.normal(size=(3, 4)).astype(np.float32)
    squared, rows = FlatIndex(*made(vectors)).search(vectors[:2], 5)
    assert rows[:, 3:].tolist() == [[-1, -1]] * 2
    assert np.isinf(squared[:, 3:]).all()
    assert sorted(rows[0, :3]) == [0, 1, 2]


def test_a_vector_finds_itself_and_no_distance_is_negative(made, rng):
    vectors = rng.normal(size=(50, 16)).astype(np.float16).astype(np.float32)
    squared, rows = FlatIndex(*made(vectors)).search(vectors, 50)
    assert rows[:, 0].tolist() == list(range(50))
    assert (squared[:, 0] == 0).all()
    assert (squared >= 0).all()


def test_rows_added_behind_its_back_are_caught_up_with(made, rng):
    vectors = rng.normal(size=(40, 8)).astype(np.float32)
    store, file = made(vectors)
    FlatIndex(store, file)
    before = file.read_bytes()
    more = rng.normal(size=(25, 8)).astype(np.float32)
    append(store, more)
    search = FlatIndex(Store(store.folder), file)
    _, order = brute_force(np.concatenate([vectors, more]), vectors[:5], 65)
    np.testing.assert_array_equal(search.search(vectors[:5], 65)[1], order)
    assert faiss.read_index(str(file)).ntotal == 65
    assert len(file.read_bytes()) == len(before) + 25 * 8 * 2  # float16


def test_a_file_that_is_up_to_date_is_left_alone(made, rng):
    store, file = made(rng.normal(size=(10, 8)).astype(np.float32))
    FlatIndex(store, file)
    stamp = file.stat().st_mtime_ns
    FlatIndex(store, file)
    assert file.stat().st_mtime_ns == stamp


def test_an_empty_table_writes_no_file(made):
    store, file = made(np.zeros((0, 4), np.float32))
    FlatIndex(store, file)
    assert not file.exists()


@pytest.mark.parametrize("kept", [0, 1, 4, 30, 77, 0.5, -1])
def test_half_a_file_is_made_anew(made, rng, kept):
    vectors = rng.normal(size=(40, 8)).astype(np.float32)
    store, file = made(vectors)
    FlatIndex(store, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    search = FlatIndex(store, file)
    np.testing.assert_array_equal(search.search(vectors, 9)[1], brute_force(vectors, vectors, 9)[1])
    assert file.read_bytes() == whole


def of(kind: str, d: int) -> faiss.Index:
    quantizer = faiss.ScalarQuantizer
    return {
        "flat": lambda: faiss.IndexFlatL2(d),
        "inner product": lambda: faiss.IndexScalarQuantizer(d, quantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT),
        "eight bits": lambda: faiss.IndexScalarQuantizer(d, quantizer.QT_8bit, faiss.METRIC_L2),
        "other vectors": lambda: faiss.IndexScalarQuantizer(d, quantizer.QT_fp16, faiss.METRIC_L2),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "n", "d"),
    [
        ("flat", 40, 8),
        ("inner product", 40, 8),
        ("eight bits", 40, 8),
        ("other vectors", 40, 8),
        ("other vectors", 39, 8),
        ("other vectors", 41, 8),
        ("other vectors", 40, 9),
    ],
)
def test_a_file_of_something_else_is_made_anew(made, rng, kind, n, d):
    vectors = rng.normal(size=(40, 8)).astype(np.float32)
    store, file = made(vectors)
    foreign = of(kind, d)
    other = rng.normal(size=(n, d)).astype(np.float32)
    foreign.train(other)
    foreign.add(other)
    faiss.write_index(foreign, str(file))
    squared, rows = FlatIndex(store, file).search(vectors[:7], 40)
    want, order = brute_force(vectors, vectors[:7], 40)
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_allclose(squared, want, rtol=1e-5, atol=1e-9)


def test_an_empty_faiss_file_is_filled(made, rng):
    vectors = rng.normal(size=(12, 8)).astype(np.float32)
    store, file = made(vectors)
    empty = of("other vectors", 8)
    faiss.write_index(empty, str(file))  # never trained
    assert FlatIndex(store, file).search(vectors, 1)[1].ravel().tolist() == list(range(12))


def test_rank_vectors_leaves_out_the_unreadable():
    def search(vectors, n):
        assert not np.isnan(vectors).any()
        return vectors[:, :1] + np.arange(n), np.arange(n)[None] + 10 * np.arange(len(vectors))[:, None]

    vectors = np.array([[0.5], [np.nan], [0.25], [np.nan]], np.float32)
    ids, scores = rank_vectors(search, vectors, [1, 3], 4, 3)
    assert ids.tolist() == [[0, 1, 2, -1], [-1] * 4, [10, 11, 12, -1], [-1] * 4]
    nothing = [-np.inf] * 4
    assert scores.tolist() == [[-0.5, -1.5, -2.5, -np.inf], nothing, [-0.25, -1.25, -2.25, -np.inf], nothing]
    assert (ids.dtype, scores.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize(("unreadable", "size"), [([0, 1], 3), ([], 0)])
def test_rank_vectors_with_nothing_to_search(unreadable, size):
    def search(vectors, n):
        raise AssertionError("nothing to search")

    ids, scores = rank_vectors(search, np.zeros((2, 1), np.float32), unreadable, 2, size)
    assert (ids == -1).all()
    assert np.isneginf(scores).all()


def test_what_a_killed_writer_left_is_removed(made, rng):
    store, file = made(rng.normal(size=(30, 8)))
    left = file.with_name(f".{file.name}.1234567.tmp")
    left.write_bytes(b"half a file")
    FlatIndex(store, file)
    assert file.exists()
    assert not left.exists()


def test_one_process_writes_the_file_at_a_time(made, rng):
    store, file = made(rng.normal(size=(30, 8)))
    with FileLock(file.with_name(f".{file.name}.lock")):
        index = FlatIndex(store, file)
    assert not file.exists()
    assert index.search(np.zeros((1, 8)), 30)[1].max() == 29
