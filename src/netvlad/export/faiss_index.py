"""Vectors as a faiss index, beside the table of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netvlad.export.names import photo_names, refuse_existing
from netvlad.maps.index import PlaceIndex
from netvlad.places import write_places
from netvlad.runtime.files import atomic


def write_faiss(index: PlaceIndex, folder: Path) -> list[Path]:
    """Write vectors.faiss and places.parquet (GeoParquet), whose row i is number i of it, into `folder`.

    The index is flat, float16, by inner product: the cosine, as vectors are of unit length. Returns both files. Raises
    NetvladError where one of them exists.
    """
    import faiss

    vectors, table = folder / "vectors.faiss", folder / "places.parquet"
    photo_names(index)  # refuses an empty map
    refuse_existing(vectors, table)
    folder.mkdir(parents=True, exist_ok=True)
    flat: Any = faiss.IndexScalarQuantizer(index.store.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    for block in index.store.vectors():
        flat.train(block[:1])  # float16 learns nothing, but faiss refuses to skip this
        flat.add(block)
    write_places(index.places, table)
    with atomic(vectors) as temporary:
        faiss.write_index(flat, str(temporary))
    return [vectors, table]
