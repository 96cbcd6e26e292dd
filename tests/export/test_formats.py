from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet
import pytest

from netvlad.errors import NetvladError
from netvlad.export.formats import FORMATS, export
from netvlad.maps.index import PlaceIndex
from netvlad.places import read_places


@pytest.fixture
def opened(index) -> PlaceIndex:
    return PlaceIndex.open(index)


@pytest.fixture
def vectors(opened) -> np.ndarray:
    return np.concatenate(list(opened.store.vectors()))


def test_hloc_reads_its_files(opened, vectors, tmp_path):
    """As hloc's `pairs_from_retrieval` does: by name, from the group of that name."""
    import h5py

    features, pairs = export(opened, "hloc", tmp_path / "hloc", top=2)
    with h5py.File(features, "r", libver="latest") as file:
        found = np.stack([file[f"{i}.jpg"]["global_descriptor"].__array__() for i in range(8)])
    np.testing.assert_array_equal(found, vectors)
    assert pairs.name == "pairs-netvlad2.txt"
    assert all(len(line.split(" ")) == 2 for line in pairs.read_text().splitlines())


def test_faiss_reads_its_index(opened, vectors, tmp_path):
    import faiss

    file, table = export(opened, "faiss", tmp_path / "faiss")
    scores, rows = faiss.read_index(str(file)).search(vectors, 1)
    assert rows[:, 0].tolist() == list(range(8))
    np.testing.assert_allclose(scores[:, 0], (vectors**2).sum(1), rtol=1e-3)
    assert read_places(table).lat.tolist() == opened.places.lat.tolist()


def test_qdrant_takes_the_points(opened, vectors, tmp_path):
    client_of = pytest.importorskip("qdrant_client", reason="needs qdrant-client, which takes the points")
    models = client_of.models

    (file,) = export(opened, "qdrant", tmp_path / "points.jsonl")
    client = client_of.QdrantClient(":memory:")
    size = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    client.create_collection("town", vectors_config=size)
    for line in file.read_text("utf-8").splitlines():
        body = json.loads(line)
        client.upsert("town", [models.PointStruct(**point) for point in body["points"]])
    assert client.count("town").count == 8
    near = models.GeoRadius(center=models.GeoPoint(lat=31.26, lon=34.8), radius=15)
    condition = models.Filter(must=[models.FieldCondition(key="location", geo_radius=near)])
    found = client.query_points("town", query=vectors[5].tolist(), query_filter=condition, limit=8).points
    assert sorted(point.id for point in found) == [0, 1]
    (best,) = client.query_points("town", query=vectors[5].tolist(), limit=1).points
    assert best.id == 5
    assert best.payload == {
        "path": "5.jpg",
        "location": {"lat": pytest.approx(31.2605), "lon": 34.8},
        "time": "2025-12-22T10:00:05",
    }


@pytest.mark.parametrize("suffix", ["parquet", "csv", "geojson"])
def test_places_are_written_as_a_table(opened, tmp_path, suffix):
    (file,) = export(opened, "table", tmp_path / f"places.{suffix}")
    found = read_places(file)
    assert found.lat.tolist() == pytest.approx(opened.places.lat.tolist())
    assert found.path.tolist() == opened.places.path.tolist()


OUT = {
    "hloc": "a",
    "colmap-pairs": "a.txt",
    "faiss": "a",
    "qdrant": "a.jsonl",
    "geoparquet": "a.parquet",
    "table": "a.csv",
}


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_is_overwritten(opened, tmp_path, to):
    files = export(opened, to, tmp_path / OUT[to])
    before = [file.read_bytes() for file in files]
    with pytest.raises(NetvladError, match="exists already"):
        export(opened, to, tmp_path / OUT[to])
    assert [file.read_bytes() for file in files] == before


def test_what_makes_no_sense_is_refused(opened, tmp_path):
    with pytest.raises(NetvladError, match="colmap-pairs"):
        export(opened, "colmap", tmp_path / "a")
    with pytest.raises(NetvladError, match="no pairs"):
        export(opened, "faiss", tmp_path / "a", top=3)
    with pytest.raises(NetvladError, match="parquet"):
        export(opened, "geoparquet", tmp_path / "a.csv")


def test_geoparquet_says_where_photos_are(opened, tmp_path):
    (file,) = export(opened, "geoparquet", tmp_path / "a.parquet")
    described = json.loads(pyarrow.parquet.read_schema(file).metadata[b"geo"])
    assert described["columns"][described["primary_column"]]["encoding"] == "WKB"
    assert read_places(file).lat.tolist() == pytest.approx(opened.places.lat.tolist())


@pytest.mark.parametrize("to", FORMATS)
def test_an_empty_map_is_refused(weights, tmp_path, to):
    import netvlad

    empty = PlaceIndex.create(tmp_path / "empty.vpr", netvlad.load("test_resnet-max"))
    with pytest.raises(NetvladError, match="no photos"):
        export(empty, to, tmp_path / OUT[to])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty.vpr"]
