"""manifest.json: what an index was built with."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from netvlad.errors import PlaceIndexError
from netvlad.maps.remote import publish, shown
from netvlad.maps.shard import Shard
from netvlad.runtime.files import read_sealed, write_sealed
from netvlad.search.options import SearchOptions
from netvlad.types import Describer

FORMAT = 1
IN_SHARDS = 2  # the format of a map in shards
FILE = "manifest.json"
REMEDY = "restore it from a copy, or make the index anew from the photos"


@dataclass(frozen=True)
class Manifest:
    """radius: metres. model, identity, dim: of its describer. map_id: which table it belongs to, "" in older ones.

    root: the folder that stored paths are relative to, as an absolute path, "" for none. root_from_map: the same
    relative to the folder of the map. search: what search over its vectors is wanted to be. shards: what the map is cut
    into, none where it is in one piece.
    """

    radius: float
    model: str
    identity: str
    dim: int
    map_id: str = ""
    root: str = ""
    root_from_map: str = ""
    search: SearchOptions = field(default_factory=SearchOptions)
    shards: tuple[Shard, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As `netvlad info` prints it and the file holds it."""
        built_with = {"name": self.model, "identity": self.identity, "dim": self.dim}
        where = {"root": self.root, "root_from_map": self.root_from_map} if self.root else {}
        search = {} if self.search == SearchOptions() else {"search": self.search.to_dict()}  # as before there was any
        shards = {"shards": [shard.to_dict() for shard in self.shards]} if self.shards else {}
        built = {"format": IN_SHARDS if shards else FORMAT, "map": self.map_id, "radius": self.radius}
        return {**built, "model": built_with, **where, **search, **shards}


def new_manifest(model: Describer, radius: float) -> Manifest:
    """The manifest of a new index of vectors by `model`."""
    return Manifest(radius, model.name, model.identity, model.dim, uuid.uuid4().hex)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it into the folder of the index, and to its address."""
    write_sealed(folder / FILE, manifest.to_dict())
    publish(folder, FILE)


def read_manifest(folder: Path) -> Manifest:
    """Read it. Raises PlaceIndexError where there is none that this version reads."""
    file = folder / FILE
    try:
        found = read_sealed(file)
    except FileNotFoundError as e:
        reason = "is not an index (no manifest.json in it); make one with `netvlad index`"
        raise PlaceIndexError(reason, path=shown(folder)) from e
    except (OSError, ValueError) as e:
        raise PlaceIndexError(f"cannot be read ({type(e).__name__}: {e}): {REMEDY}", path=file) from e
    if found.get("format") != (IN_SHARDS if "shards" in found else FORMAT):
        version = found.get("format")
        raise PlaceIndexError(f"is an index of format {version!r}; this version reads format {FORMAT}", path=folder)
    radius, model, map_id = found.get("radius"), found.get("model"), found.get("map", "")
    texts = {"map": map_id, "root": found.get("root", ""), "root_from_map": found.get("root_from_map", "")}
    if not (_is_length(radius) and isinstance(model, dict) and _is_model(model)):
        raise PlaceIndexError(f"lacks a radius above 0, or the name, identity and dim of a model: {REMEDY}", path=file)
    if bad := [name for name, text in texts.items() if not isinstance(text, str)]:
        raise PlaceIndexError(f"has a {bad[0]} that is no text: {REMEDY}", path=file)
    try:
        search = SearchOptions.from_dict(found["search"]) if "search" in found else SearchOptions()
        shards = _shards(found.get("shards", []))
    except ValueError as e:
        raise PlaceIndexError(f"{e}: {REMEDY}", path=file) from e
    built_with = (model["name"], model["identity"], model["dim"])
    return Manifest(float(radius), *built_with, texts["map"], texts["root"], texts["root_from_map"], search, shards)


def _shards(value: Any) -> tuple[Shard, ...]:
    if not isinstance(value, list):
        raise ValueError("has shards that are no list")
    return tuple(map(Shard.from_dict, value))


def _is_length(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_model(model: dict[str, Any]) -> bool:
    texts = all(isinstance(model.get(key), str) for key in ("name", "identity"))
    return texts and type(model.get("dim")) is int and model["dim"] > 0
