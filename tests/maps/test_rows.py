"""What a table must hold, and what a damaged one may not do."""

from __future__ import annotations

import lance
import numpy as np
import pyarrow as pa
import pytest

from netvlad.errors import PlaceIndexError, PlaceIndexWarning
from netvlad.maps.check import check_index
from netvlad.maps.index import PlaceIndex
from netvlad.maps.rows import SOURCE_SUM, check_schema, schema, source_sums


@pytest.fixture
def made(street, grid, tmp_path):
    """An index of 6 photos from two tables."""
    places = street(6)
    index = PlaceIndex.create(tmp_path / "a.vpr", grid(), root=tmp_path)
    index.sync(places[:3], source=tmp_path / "a.csv", workers=0)
    index.sync(places[3:], source=tmp_path / "b.csv", workers=0)
    return index, places


def test_sums_of_sources():
    sums = source_sums(pa.array(["a", "", "é", "a"]))
    assert sums.type == pa.uint64()
    assert sums[0] == sums[3]
    assert len(set(sums.to_pylist())) == 3
    assert len(source_sums(pa.array([], pa.string()))) == 0


def test_a_row_of_another_source_than_was_written_is_refused(made, tmp_path):
    index, places = made
    table = lance.dataset(str(index.folder / "places.lance"))
    table.update({"source": "'b.csv'"}, where="source = 'a.csv'")  # as a flipped bit in a coded column may do
    with pytest.raises(PlaceIndexError, match="the source of row"):
        index.sync(places[3:], source=tmp_path / "b.csv", workers=0)
    assert [finding.part for finding in check_index(index.folder) if not finding.sound] == ["places.lance"]


def test_a_table_without_sums_of_sources_gets_them(made, grid, tmp_path):
    index, places = made
    lance.dataset(str(index.folder / "places.lance")).drop_columns([SOURCE_SUM])
    again = PlaceIndex.open(index.folder, grid())
    assert not again.sync(places[3:], source=tmp_path / "b.csv", workers=0)
    held = lance.dataset(str(index.folder / "places.lance")).to_table()
    assert held.column("source").to_pylist() == ["a.csv"] * 3 + ["b.csv"] * 3
    assert held.column(SOURCE_SUM).to_pylist() == source_sums(held.column("source")).to_pylist()
    np.testing.assert_array_equal(again.places.path, places.path)


@pytest.mark.parametrize("change", ["renamed", "of another kind", "missing"])
def test_columns_that_nobody_wrote(change):
    fields = {field.name: field.type for field in schema(4)}
    check_schema(pa.schema(fields))
    if change == "of another kind":
        fields["size"] = pa.int32()
    else:
        fields.pop("is_utc")
        fields |= {"is_u|c": pa.bool_()} if change == "renamed" else {}
    with pytest.raises(ValueError, match="columns"):
        check_schema(pa.schema(fields))


def test_a_newest_version_that_is_gone_is_told(made, grid):
    index, places = made
    versions = index.folder / "places.lance" / "_versions"
    min(versions.glob("*.manifest")).unlink()  # they count down
    (versions / "latest_version_hint.json").unlink(missing_ok=True)
    (index.folder / "search.faiss").unlink()  # which would tell too
    opened = PlaceIndex.open(index.folder, grid())
    with pytest.warns(PlaceIndexWarning, match="version 3 is gone, so version 2 is used"):
        assert len(opened) == 3
    with pytest.warns(PlaceIndexWarning):
        opened.sync(places, workers=0)
    assert len(PlaceIndex.open(index.folder, grid())) == 6
