"""Parts of an index as they are opened: each is compared with the manifest."""

from __future__ import annotations

from pathlib import Path

from netvlad.errors import PlaceIndexError
from netvlad.maps.manifest import Manifest
from netvlad.maps.store import REMEDY, Store
from netvlad.types import Describer


def open_store(folder: Path, manifest: Manifest) -> Store:
    """The table of the index in `folder`. Raises PlaceIndexError where it is broken or of another index."""
    store = Store(folder / "places.lance")
    if (store.map_id, store.dim) != (manifest.map_id, manifest.dim):
        raise PlaceIndexError(f"is the table of another index: {REMEDY}", path=store.folder)
    return store


def open_model(folder: Path, manifest: Manifest, *, trust_code: bool) -> Describer:
    """The describer of the index in `folder`. Raises ModelError where it is broken, PlaceIndexError if it is another.

    trust_code: as in `netvlad.load`.
    """
    from netvlad.pretrained.zoo import load_folder

    model = load_folder(folder / "model", trust_code=trust_code)
    if model.identity != manifest.identity:
        raise PlaceIndexError(
            f"holds {model.name} ({model.identity[:12]}), but the vectors are by {manifest.model} "
            f"({manifest.identity[:12]}): {REMEDY}",
            path=folder / "model",
        )
    return model
