"""Pairs of photos for COLMAP."""

from __future__ import annotations

from pathlib import Path

from netvlad.export.names import photo_names, refuse_existing
from netvlad.export.pairs import TOP, find_pairs, write_pairs
from netvlad.maps.index import PlaceIndex


def write_colmap_pairs(index: PlaceIndex, file: Path, *, top: int = TOP, within: float | None = None) -> list[Path]:
    """Write the pairs of `find_pairs` by name, for `colmap matches_importer --match_type pairs`; returns the file."""
    refuse_existing(file)
    names = photo_names(index)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_pairs(find_pairs(index, top=top, within=within), names, file)
    return [file]
