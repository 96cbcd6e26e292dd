from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError, PlaceIndexError, PlaceIndexWarning
from netvlad.search import compressed_build, compressed_codes, compressed_index
from netvlad.search.compressed_codes import lists_of
from netvlad.search.compressed_index import CompressedIndex
from netvlad.search.options import SearchOptions
from netvlad.search.sharded_index import ShardedIndex
from netvlad.search.trained_codes import TRAINED, write_trained

OPTIONS = SearchOptions("compressed")


class Table:
    """Vectors as a table of photos has them; its fingerprint is that of the numbers."""

    def __init__(self, vectors: np.ndarray, newest: bool = True) -> None:
        self.all, self.newest = vectors.astype(np.float16).astype(np.float32), newest
        self.dim = vectors.shape[1]

    def __len__(self) -> int:
        return len(self.all)

    def vectors(self, start: int = 0):
        for first in range(start, len(self.all), 700):
            yield self.all[first : first + 700]

    def fingerprint(self, rows: int) -> bytes:
        import xxhash

        return xxhash.xxh3_128_digest(self.all[:rows].tobytes())

    def is_newest(self) -> bool:
        return self.newest


def drawn(rng: np.random.Generator, n: int = 3000, dim: int = 32, places: int = 300) -> np.ndarray:
    """Vectors of unit length around `places` directions."""
    centres = np.random.default_rng(5).normal(size=(places, dim))
    x = centres[rng.integers(places, size=n)] + 0.5 * rng.normal(size=(n, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def lists_also_of_few(monkeypatch):
    monkeypatch.setattr(compressed_index, "FEW", 50)
    monkeypatch.setattr(compressed_build, "ASKED", 50)


def brute_force(table: Table, queries: np.ndarray, k: int, among: np.ndarray | None = None):
    squared = ((queries[:, None].astype(np.float64) - table.all) ** 2).sum(-1)
    if among is not None:
        squared[:, ~among] = np.inf
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(squared, order, 1), order


def recall(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, wanted, strict=True)]))


def agrees(
    index: CompressedIndex | ShardedIndex, table: Table, queries: np.ndarray, among=None, least: float = 0.9
) -> None:
    """Found are nearly all of the nearest, with the distances of the stored vectors, and only what may be found."""
    squared, rows = index.search(queries, 10, among)
    _, wanted = brute_force(table, queries, 10, among)
    assert recall(rows, wanted) >= least
    exact = ((queries[:, None].astype(np.float64) - table.all[rows]) ** 2).sum(-1)
    np.testing.assert_allclose(squared, exact, rtol=1e-4, atol=1e-5)
    assert (np.diff(squared, axis=1) >= 0).all()
    if among is not None:
        assert among[rows].all()


def test_it_finds_what_is_wanted_and_tells_exact_distances(tmp_path, rng):
    table = Table(drawn(rng))
    index = CompressedIndex(table, tmp_path / "search.faiss", OPTIONS)
    agrees(index, table, drawn(rng, 40))
    assert index.tuning.recall[0] >= 0.95
    assert index.tuning.asked == 50


def test_a_mask_that_changes_is_read_anew(tmp_path, rng):
    table = Table(drawn(rng))
    index = CompressedIndex(table, tmp_path / "search.faiss", OPTIONS)
    mask = rng.random(len(table)) < 0.5
    agrees(index, table, drawn(rng, 20), mask)
    mask[:] = ~mask
    agrees(index, table, drawn(rng, 20), mask)
    mask.flags.writeable = False
    for _ in range(2):
        agrees(index, table, drawn(rng, 20), mask)
    agrees(index, table, drawn(rng, 20), ~mask)


def test_what_others_added_instead_overwrites_nothing(tmp_path, rng):
    """Who has rows open that were never written as a search file, and then were taken back, keeps its own vectors."""
    file, first, one, other = tmp_path / "search.faiss", drawn(rng), drawn(rng, 200), drawn(rng, 200)
    CompressedIndex(Table(first), file, OPTIONS)
    before = file.read_bytes()
    mine = Table(np.concatenate([first, one]))
    opened = CompressedIndex(mine, file, OPTIONS)
    file.write_bytes(before)  # as if another process had held the lock
    theirs = Table(np.concatenate([first, other]))
    agrees(CompressedIndex(theirs, file, OPTIONS), theirs, other)
    agrees(CompressedIndex(theirs, file, OPTIONS), theirs, other)
    agrees(opened, mine, one)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.03])
def test_among_few_rows_as_much_is_found(tmp_path, rng, share):
    table = Table(drawn(rng))
    index = CompressedIndex(table, tmp_path / "search.faiss", OPTIONS)
    agrees(index, table, drawn(rng, 40), rng.random(len(table)) < share)


def test_a_handful_of_rows_is_searched_exactly(tmp_path, rng):
    table = Table(drawn(rng))
    index = CompressedIndex(table, tmp_path / "search.faiss", OPTIONS)
    among = np.zeros(len(table), bool)
    among[[5, 17, 900]] = True
    squared, rows = index.search(drawn(rng, 7), 5, among)
    assert [sorted(row[:3]) for row in rows.tolist()] == [[5, 17, 900]] * 7
    assert (rows[:, 3:] == -1).all()
    assert np.isinf(squared[:, 3:]).all()


def test_all_rows_come_when_all_are_asked_for(tmp_path, rng):
    table = Table(drawn(rng, 300))
    index = CompressedIndex(table, tmp_path / "search.faiss", OPTIONS)
    queries = drawn(rng, 3)
    np.testing.assert_array_equal(index.search(queries, 300)[1], brute_force(table, queries, 300)[1])
    among = rng.random(300) < 0.5
    rows = index.search(queries, 300, among)[1]
    np.testing.assert_array_equal(rows[:, : among.sum()], brute_force(table, queries, among.sum(), among)[1])
    assert (rows[:, among.sum() :] == -1).all()


@pytest.mark.parametrize("n", [1, 2, 30])
def test_a_few_photos_can_be_compressed_as_well(tmp_path, rng, n):
    table = Table(drawn(rng, n))
    index = CompressedIndex(table, tmp_path / "search.faiss", OPTIONS)
    assert index.search(table.all, 1)[1].ravel().tolist() == list(range(n))


def test_it_opens_as_it_was_written(tmp_path, rng):
    table, queries = Table(drawn(rng)), drawn(rng, 20)
    made = CompressedIndex(table, tmp_path / "search.faiss", OPTIONS)
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    opened = CompressedIndex(table, tmp_path / "search.faiss", OPTIONS)
    assert opened.tuning == made.tuning
    for one, other in zip(opened.search(queries, 9), made.search(queries, 9), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


def test_it_follows_rows_that_go_and_come(tmp_path, rng):
    vectors, file = drawn(rng), tmp_path / "search.faiss"
    index = CompressedIndex(Table(vectors), file, OPTIONS)
    for turn in range(3):
        removed = np.sort(rng.permutation(len(vectors))[:100])
        vectors = np.concatenate([np.delete(vectors, removed, axis=0), drawn(rng, 150)])
        table = Table(vectors)
        index.follow(table, file, removed.tolist() if turn else removed)
        for asked in (index, CompressedIndex(table, file, OPTIONS)):
            agrees(asked, table, drawn(rng, 30))
            agrees(asked, table, drawn(rng, 30), rng.random(len(table)) < 0.2)
            rows = np.array([0, 7, 1500, len(table) - 1])
            np.testing.assert_array_equal(asked.vectors(rows), table.all[rows])
    assert len(list(tmp_path.glob("*.vectors"))) == 1


def test_much_change_makes_it_anew(tmp_path, rng):
    vectors, file = drawn(rng), tmp_path / "search.faiss"
    index = CompressedIndex(Table(vectors), file, OPTIONS)
    (before,) = tmp_path.glob("*.vectors")
    table = Table(vectors[:2000])
    index.follow(table, file, np.arange(2000, 3000))
    (now,) = tmp_path.glob("*.vectors")
    assert now != before
    assert now.stat().st_size == 2000 * (2 * 32 + 8)
    agrees(index, table, drawn(rng, 30))


def test_rows_added_behind_its_back_are_caught_up_with(tmp_path, rng):
    vectors, file = drawn(rng), tmp_path / "search.faiss"
    CompressedIndex(Table(vectors[:2500]), file, OPTIONS)
    table = Table(vectors)
    agrees(CompressedIndex(table, file, OPTIONS), table, drawn(rng, 30))


def test_a_later_state_does_not_change_what_an_earlier_one_answers(tmp_path, rng):
    vectors, file, queries = drawn(rng), tmp_path / "search.faiss", drawn(rng, 20)
    earlier = CompressedIndex(Table(vectors), file, OPTIONS)
    before = earlier.search(queries, 9)[1]
    later = CompressedIndex(Table(vectors), file, OPTIONS)
    later.follow(Table(np.concatenate([vectors[10:], drawn(rng, 500)])), file, range(10))
    np.testing.assert_array_equal(earlier.search(queries, 9)[1], before)


@pytest.mark.parametrize("at", [3, 2000, -60, -30, -10, -1])
def test_a_bit_of_the_codes_is_noticed(tmp_path, rng, at):
    table, file = Table(drawn(rng, 400)), tmp_path / "search.faiss"
    CompressedIndex(table, file, OPTIONS)
    data = bytearray(file.read_bytes())
    data[at] ^= 4
    file.write_bytes(data)
    with pytest.warns(PlaceIndexWarning, match="made anew"):
        agrees(CompressedIndex(table, file, OPTIONS), table, drawn(rng, 10))


@pytest.mark.parametrize("how", ["a bit", "swapped"])
def test_a_damaged_vector_is_never_compared(tmp_path, rng, how):
    table, file = Table(drawn(rng, 400)), tmp_path / "search.faiss"
    index = CompressedIndex(table, file, OPTIONS)
    (vectors,) = tmp_path.glob("*.vectors")
    size, data = 2 * 32 + 8, bytearray(vectors.read_bytes())
    if how == "a bit":
        data[size * 7 + 20] ^= 1
    else:
        data[7 * size : 9 * size] = data[8 * size : 9 * size] + data[7 * size : 8 * size]
    with open(vectors, "r+b") as opened:  # the same file, as it is mapped
        opened.write(data)
    with pytest.raises(PlaceIndexError, match="vector 7 is damaged"):
        index.search(table.all[7:8], 1)


@pytest.mark.parametrize("left", [None, 0, 1000])
def test_vectors_that_are_gone_or_cut_are_made_anew(tmp_path, rng, left):
    table, file = Table(drawn(rng, 400)), tmp_path / "search.faiss"
    CompressedIndex(table, file, OPTIONS)
    (vectors,) = tmp_path.glob("*.vectors")
    if left is None:
        vectors.unlink()
    else:
        vectors.write_bytes(vectors.read_bytes()[:left])
    with pytest.warns(PlaceIndexWarning, match="made anew"):
        agrees(CompressedIndex(table, file, OPTIONS), table, drawn(rng, 10))
    assert len(list(tmp_path.glob("*.vectors"))) == 1


def test_who_asks_an_earlier_version_writes_nothing(tmp_path, rng):
    table, file = Table(drawn(rng, 400), newest=False), tmp_path / "search.faiss"
    agrees(CompressedIndex(table, file, OPTIONS), table, drawn(rng, 10))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0, 0.9])
def test_many_lists_come_in_two_levels_and_are_found_by_a_graph(tmp_path, rng, monkeypatch, share):
    monkeypatch.setattr(compressed_build, "ONE_LEVEL", 8)
    monkeypatch.setattr(compressed_codes, "FLAT_LISTS", 8)
    vectors = drawn(rng)
    vectors[: int(share * len(vectors))] = vectors[-1]  # the same photo again and again
    table, file = Table(vectors), tmp_path / "search.faiss"
    CompressedIndex(table, file, OPTIONS)
    index = CompressedIndex(table, file, OPTIONS)
    queries = drawn(rng, 30)
    squared, rows = index.search(queries, 10)
    wanted = brute_force(table, queries, 10)[0]
    assert np.mean(squared <= wanted[:, -1:] * 1.0001) >= 0.9
    assert [len(set(row)) for row in rows.tolist()] == [10] * 30


def test_all_lists_are_looked_at_where_that_is_needed(tmp_path, rng, monkeypatch):
    """Vectors without any structure: what is near stands in any list, and lists in two levels are no power of 2."""
    monkeypatch.setattr(compressed_build, "ONE_LEVEL", 8)
    monkeypatch.setattr(compressed_build, "wanted_lists", lambda rows: 30)
    index = CompressedIndex(Table(rng.normal(size=(3000, 64))), tmp_path / "search.faiss", OPTIONS)
    assert index.tuning.recall[0] >= 0.95


def test_less_memory_makes_smaller_codes(tmp_path, rng):
    table = Table(drawn(rng))
    sizes = []
    for memory in (None, 40_000, 36_000):
        index = CompressedIndex(table, tmp_path / f"{memory}.faiss", SearchOptions("compressed", memory=memory))
        sizes.append(index.memory)
        assert memory is None or index.memory <= memory
        agrees(index, table, drawn(rng, 30), least=0.85)
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 1
    with pytest.raises(NetvladError, match="at least"):
        CompressedIndex(table, tmp_path / "least.faiss", SearchOptions("compressed", memory=1000))


def test_shards_of_shared_centres_find_as_much_as_one_index(tmp_path, rng):
    table = Table(drawn(rng))
    codes = compressed_build.trained(len(table), table.dim, None, table.all.__getitem__, np.random.default_rng(0))
    shards = []
    for name, part in zip("abc", np.split(table.all, [500, 1700]), strict=True):
        (tmp_path / name).mkdir()
        write_trained(tmp_path / name / TRAINED, codes)
        shards.append(CompressedIndex(Table(part), tmp_path / name / "search.faiss", OPTIONS))
    centres = [lists_of(shard._state.codes).quantizer.reconstruct_n(0, 9) for shard in shards]
    np.testing.assert_array_equal(centres[0], centres[2])
    assert lists_of(codes).ntotal == 0
    sizes = [500, 1200, 1300]
    agrees(ShardedIndex([lambda shard=shard: shard for shard in shards], sizes), table, drawn(rng, 40), least=0.95)
