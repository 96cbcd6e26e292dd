"""Making an index: what is refused, and what a new one holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from netvlad.errors import PlaceIndexError
from netvlad.maps.manifest import new_manifest, write_manifest
from netvlad.maps.remote import publish, shown, strangers, table_of
from netvlad.maps.store import Store
from netvlad.places import Places
from netvlad.types import Describer, Saveable, needs_fit


def check_new(folder: Path, model: Describer, radius: float) -> Saveable:
    """The model, if an index of its vectors can be made in `folder`. Raises PlaceIndexError otherwise."""
    if (folder / "manifest.json").exists():
        raise PlaceIndexError(
            "is an index already: open it and add to it, or choose another folder", path=shown(folder)
        )
    if strangers(folder):
        raise PlaceIndexError("holds files that are of no index; choose another address", path=shown(folder))
    if folder.exists() and not (folder.is_dir() and _only_ours(folder)):
        raise PlaceIndexError("is there already and is not an index; choose another folder", path=folder)
    if not radius > 0:
        raise PlaceIndexError(f"a radius must be more than 0 metres, got {radius}")
    if not isinstance(model, Saveable):
        raise PlaceIndexError(f"{model.name} cannot be saved (netvlad.types.Saveable), and an index keeps its model")
    return model


def write_new(folder: Path, model: Saveable, radius: float) -> None:
    """Write an index without photos. Vectors of a model that is not fitted would be worthless."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model")
    publish(folder, "model")
    manifest = new_manifest(model, radius)
    store = Store.create(table_of(folder), model.dim, manifest.map_id)
    write_manifest(folder, replace(manifest, map_id=store.map_id))  # at an address, that of whoever was first


def fit_and_write(folder: Path, model: Saveable, radius: float, places: Places, workers: int | None) -> None:
    """Fit a model on the first places of its index, and write that without photos."""
    from netvlad.describe.fit import fit

    if (folder / "manifest.json").exists():
        raise PlaceIndexError("was made by another process meanwhile: open it and add to it", path=folder)
    if needs_fit(model):
        fit(model, places.path.tolist(), workers=workers)
    write_new(folder, model, radius)


def _only_ours(folder: Path) -> bool:
    """Nothing in the folder, or only what an interrupted `create` leaves, or whose photos it is to be made of."""
    ours = ("model", "places.lance", "credits.csv", "imagery.json")
    return all(f.name in ours or f.name.startswith(".") for f in folder.iterdir())
