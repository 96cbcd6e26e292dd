"""What a map can be exported to, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netvlad.errors import NetvladError
from netvlad.export.colmap import write_colmap_pairs
from netvlad.export.faiss_index import write_faiss
from netvlad.export.hloc import write_hloc
from netvlad.export.names import photo_names, refuse_existing
from netvlad.export.pairs import TOP
from netvlad.export.qdrant import write_qdrant
from netvlad.maps.index import PlaceIndex
from netvlad.places import write_places


@dataclass(frozen=True)
class Format:
    """write(index, out) -> the files written. pairs: whether it is of pairs, and takes `top`."""

    write: Callable[..., list[Path]]
    what: str
    pairs: bool = False


def write_table(index: PlaceIndex, file: Path) -> list[Path]:
    """Write the places of the photos, without vectors, by the suffix of `file`; returns it.

    Raises NetvladError where it exists, PlacesError for another suffix than .parquet, .csv and .geojson.
    """
    photo_names(index)  # refuses an empty map
    refuse_existing(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_places(index.places, file)
    return [file]


def write_geoparquet(index: PlaceIndex, file: Path) -> list[Path]:
    """Write the places of the photos as GeoParquet. Raises NetvladError as `write_table`, and for another suffix."""
    if file.suffix.lower() != ".parquet":
        raise NetvladError("a GeoParquet file is named .parquet: choose such a name", path=file)
    return write_table(index, file)


FORMATS = {
    "hloc": Format(write_hloc, "a folder: global-feats-netvlad.h5 and pairs", pairs=True),
    "colmap-pairs": Format(write_colmap_pairs, "a text file of pairs", pairs=True),
    "faiss": Format(write_faiss, "a folder: vectors.faiss and places.parquet"),
    "qdrant": Format(write_qdrant, "a .jsonl file of points"),
    "geoparquet": Format(write_geoparquet, "a .parquet file of places"),
    "table": Format(write_table, "a .parquet (GeoParquet), .csv or .geojson file of places"),
}


def export(index: PlaceIndex, to: str, out: Path, *, top: int | None = None) -> list[Path]:
    """Write `index` as the format `to`, a key of FORMATS; returns the files written.

    top: most similar photos that each is paired with (20). Raises NetvladError for another format, for `top` where
    there are no pairs, and as the format does.
    """
    if to not in FORMATS:
        raise NetvladError(f"no format {to!r}: choose one of {', '.join(FORMATS)}")
    chosen = FORMATS[to]
    if top is not None and not chosen.pairs:
        raise NetvladError(f"{to} has no pairs: leave --top out")
    write = partial(chosen.write, top=TOP if top is None else top) if chosen.pairs else chosen.write
    return write(index, out)
