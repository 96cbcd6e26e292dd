"""Vectors and pairs as hloc (Hierarchical-Localization) keeps them."""

from __future__ import annotations

from pathlib import Path

from netvlad.errors import NetvladError
from netvlad.export.names import photo_names, refuse_existing
from netvlad.export.pairs import TOP, check_names, find_pairs, write_pairs
from netvlad.maps.index import PlaceIndex
from netvlad.runtime.files import atomic
from netvlad.runtime.progress import progress


def write_hloc(index: PlaceIndex, folder: Path, *, top: int = TOP) -> list[Path]:
    """Write global-feats-netvlad.h5 and pairs-netvlad<top>.txt into `folder`; returns both.

    The HDF5 file has one group for each photo, named as the photo is, slashes included, with the dataset
    `global_descriptor` (D,) float32, which hloc's `pairs_from_retrieval` reads. Raises NetvladError where one of them
    exists, and without the extra `export`.
    """
    try:
        import h5py
    except ImportError as e:
        raise NetvladError("hloc's files are HDF5: pip install 'netvlad[export]'") from e
    features, pairs = folder / "global-feats-netvlad.h5", folder / f"pairs-netvlad{top}.txt"
    names = photo_names(index)
    refuse_existing(features, pairs)
    check_names(names, pairs)
    folder.mkdir(parents=True, exist_ok=True)
    row = 0
    with (
        progress("writing vectors", len(names)) as advance,
        atomic(features) as temporary,
        h5py.File(temporary, "w") as file,
    ):
        for block in index.store.vectors():
            for vector in block:
                file.create_group(names[row].lstrip("/")).create_dataset("global_descriptor", data=vector)
                row += 1
            advance(len(block))
    write_pairs(find_pairs(index, top=top), names, pairs)
    return [features, pairs]
