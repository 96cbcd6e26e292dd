"""netvlad info: what is in an index or a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad.runtime.counted import counted

if TYPE_CHECKING:
    from netvlad.types import Array

EXAMPLE = "Example: netvlad info campus.vpr"


def run(
    path: Annotated[str, typer.Argument(help="An index, a folder or s3://..., or a model folder.")],
    versions: Annotated[
        bool, typer.Option("--versions", help="List the versions of an index that `netvlad restore` brings back.")
    ] = False,
) -> None:
    """Describe an index or a saved model, as JSON."""
    from netvlad.runtime.addresses import path_or_address

    place = path_or_address(path)
    print(json.dumps(list_versions(place) if versions else describe(place), indent=2, ensure_ascii=False))


def list_versions(path: Path | str) -> list[dict[str, Any]]:
    """Number, local time of writing and number of photos of each version of the index at `path`, oldest first."""
    from netvlad.maps.index import PlaceIndex

    index = PlaceIndex.open(path)
    now = index.store.version
    return [
        {"version": v.number, "time": str(v.time)[:19], "photos": v.photos, "current": v.number == now}
        for v in index.versions()
    ]


def describe(path: Path | str) -> dict[str, Any]:
    """What is in the index or model at `path`. Raises NetvladError where it is neither."""
    from netvlad.errors import NetvladError
    from netvlad.maps.remote import fetch

    shown, path = path, fetch(path)
    if (path / "manifest.json").is_file():
        return _index(shown, path)
    if (path / "card.json").is_file():
        try:
            card = json.loads((path / "card.json").read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as e:
            raise NetvladError(f"is not a model card ({e})", path=path / "card.json") from e
        if not isinstance(card, dict):
            raise NetvladError(f"is not a model card (a {type(card).__name__})", path=path / "card.json")
        return {"model": card}
    raise NetvladError("is neither an index (no manifest.json) nor a model (no card.json)", path=shown)


def _index(shown: Path | str, path: Path) -> dict[str, Any]:
    import numpy as np

    from netvlad.imagery.told import imagery_told
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.manifest import read_manifest
    from netvlad.maps.remote import bytes_of
    from netvlad.maps.search_told import search_told, shards_told

    index = PlaceIndex.open(shown)
    places = index.places
    calibration = index.calibration if len(index) else None
    uncalibrated = index.uncalibrated if len(index) else "no photos yet"
    times = places.time[~np.isnat(places.time)]
    disk = bytes_of(path)
    manifest, dim = read_manifest(path), index.store.dim
    search = shards_told(path, dim, manifest.shards) if manifest.shards else search_told(path, dim)
    return {
        "index": str(shown),
        **manifest.to_dict(),
        "version": index.store.version,
        "photos": len(index),
        "located": int(places.located.sum()),
        "search": search,
        "bytes": disk,
        "bytes_a_photo": {"memory": search["bytes_a_photo"], "disk": round(disk / len(index)) if len(index) else None},
        **{name: _range(getattr(places, name)) for name in ("lat", "lon", "easting", "northing")},
        "time": [str(times.min()), str(times.max())] if len(times) else None,
        "confidence": f"{calibration.how}, {counted(calibration.asked, 'photo')}" if calibration else uncalibrated,
        **imagery_told(path, places),
    }


def _range(values: Array) -> list[float] | None:
    known = values[values == values]
    return [float(known.min()), float(known.max())] if len(known) else None
