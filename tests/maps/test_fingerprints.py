from __future__ import annotations

import numpy as np
import pytest

from netvlad.maps import fingerprints as module
from netvlad.maps.fingerprints import WORD, Digest, Fingerprints
from netvlad.maps.stamps import FileStamp
from netvlad.maps.store import Store
from netvlad.places import Places


def columns(n, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.integers(0, WORD, n, np.uint64) for name in ("place_sum", "vector_sum")}


def test_a_polynomial_worked_out_by_hand():
    digest = Digest.of({"place_sum": np.array([5, 7, 11], np.uint64), "vector_sum": np.array([1, 0, 2], np.uint64)})
    p, q = module.FACTORS.values()
    assert Digest.of({"place_sum": np.array([2**32 + 1], np.uint64), "vector_sum": np.zeros(1, np.uint64)})[1] == 2**32
    assert digest == (3, (5 * p * p + 7 * p + 11) % WORD, (q * q + 2) % WORD)


@pytest.mark.parametrize("cut", [0, 1, 49, 50])
def test_parts_give_the_digest_of_the_whole(cut):
    whole = columns(50)
    first, last = ({name: part[at] for name, part in whole.items()} for at in (slice(cut), slice(cut, None)))
    assert Digest.of(first) + Digest.of(last) == Digest.of(whole)
    assert Digest() + Digest.of(whole) == Digest.of(whole) == Digest.of(whole) + Digest()


def test_other_rows_have_another_digest():
    rows = columns(20)
    swapped = {name: part[np.r_[1, 0, 2:20]] for name, part in rows.items()}
    shorter = {name: part[:19] for name, part in rows.items()}
    changed = {**rows, "place_sum": rows["place_sum"] ^ np.uint64(1 << 63)}
    assert len({Digest.of(found) for found in (rows, swapped, shorter, changed, columns(20, 1))}) == 5


@pytest.fixture
def reads(monkeypatch):
    """The numbers of rows whose checksums were read, None for all of a file."""
    found, read = [], module._read
    monkeypatch.setattr(module, "_read", lambda fragment, rows: found.append(rows) or read(fragment, rows))
    return found


def grow(store, n):
    first = len(store)
    places = Places.build(path=[f"/{first + i}.jpg" for i in range(n)], lat=1.0, lon=9.0)
    vectors = np.random.default_rng(first).standard_normal((n, 4)).astype(np.float32)
    store.append(places, [FileStamp(0, 0)] * n, [bytes(16)] * n, vectors)


def test_files_that_stay_are_read_once(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 5)
    store = Store.create(tmp_path / "places.lance", 4, "map")
    grow(store, 5)
    five = store.fingerprint(5)
    assert reads == [None]
    grow(store, 3)
    eight = Store(store.folder).fingerprint(8)  # another process
    assert reads == [None, None]
    again = Store(store.folder)
    assert (again.fingerprint(5), again.fingerprint(8)) == (five, eight)
    assert reads == [None, None]
    assert again.fingerprint(6) not in (five, eight)
    assert reads == [None, None, 1]
    for damage in (b"", b"{", b"[]", b'{"a": 3, "checksum": ""}'):
        (tmp_path / ".fingerprints.json").write_bytes(damage)
        assert Store(store.folder).fingerprint(8) == eight
    (tmp_path / ".fingerprints.json").unlink()
    assert Store(store.folder).fingerprint(8) == eight


def test_merged_files_are_the_same_rows_and_removed_ones_are_not(tmp_path):
    store = Store.create(tmp_path / "places.lance", 4, "map")
    for n in (4, 2, 3):
        grow(store, n)
    before = store.fingerprint(9)
    store._table.optimize.compact_files()
    store.reopen()
    assert len(store._table.get_fragments()) == 1
    assert store.fingerprint(9) == before
    store.remove(store.held([]).column("_rowid").to_numpy()[8:])
    assert store.fingerprint(8) != before
    assert store.fingerprint(8) == Fingerprints(tmp_path / "none.json").of(store._table, "map", 8)
    assert store.fingerprint(8) != Fingerprints(tmp_path / "none.json").of(store._table, "another", 8)
