"""netvlad info: what is in an index or a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from netvlad.types import Array

EXAMPLE = "Example: netvlad info campus.vpr"


def run(path: Annotated[Path, typer.Argument(help="An index or a model folder.")]) -> None:
    """Describe an index or a saved model, as JSON."""
    print(json.dumps(describe(path), indent=2, ensure_ascii=False))


def describe(path: Path) -> dict[str, Any]:
    """What is in the index or model at `path`. Raises NetvladError where it is neither."""
    from netvlad.errors import NetvladError

    if (path / "manifest.json").is_file():
        return _index(path)
    if (path / "card.json").is_file():
        try:
            card = json.loads((path / "card.json").read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as e:
            raise NetvladError(f"is not a model card ({e})", path=path / "card.json") from e
        if not isinstance(card, dict):
            raise NetvladError(f"is not a model card (a {type(card).__name__})", path=path / "card.json")
        return {"model": card}
    raise NetvladError("is neither an index (no manifest.json) nor a model (no card.json)", path=path)


def _index(path: Path) -> dict[str, Any]:
    import numpy as np

    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.manifest import read_manifest

    index = PlaceIndex.open(path)
    places = index.places
    calibration = index.calibration if len(index) else None
    uncalibrated = index.uncalibrated if len(index) else "no photos yet"
    times = places.time[~np.isnat(places.time)]
    return {
        "index": str(path),
        **read_manifest(path).to_dict(),
        "photos": len(index),
        "bytes": sum(f.stat().st_size for f in path.rglob("*") if f.is_file()),
        "lat": _range(places.lat),
        "lon": _range(places.lon),
        "easting": _range(places.easting),
        "northing": _range(places.northing),
        "time": [str(times.min()), str(times.max())] if len(times) else None,
        "confidence": f"{calibration.how}, {calibration.asked} photos" if calibration else uncalibrated,
    }


def _range(values: Array) -> list[float] | None:
    return [float(values.min()), float(values.max())] if len(values) and values.min() == values.min() else None
