"""A map that is served: asked at its newest version, its photos named by ids."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import NetvladError
from netvlad.maps.location import Location, answer_in_words
from netvlad.maps.manifest import Manifest, read_manifest
from netvlad.maps.opening import check_model, open_model
from netvlad.maps.remote import fetch, shown
from netvlad.maps.sharded import Searches, open_snapshot
from netvlad.maps.snapshot import Snapshot
from netvlad.maps.where import Where
from netvlad.places.streets import Streets, streets_within
from netvlad.types import Array, Describer, FloatArray

log = logging.getLogger("netvlad.serve")
Box = tuple[float, float, float, float]


class ServedMap:
    """The index in `folder`, with the model that it was built with.

    root: the folder of its photos, where they have moved. searches: of its shards, where they are elsewhere. Raises
    PlaceIndexError where it cannot be opened.
    """

    def __init__(
        self, name: str, folder: Path, model: Describer, *, root: str | None = None, searches: Searches | None = None
    ) -> None:
        self.name, self.folder, self.model, self._root, self._searches = name, folder, model, root, searches
        self.view = self._opened()

    def _opened(self) -> MapView:
        check_model(self.folder, read_manifest(self.folder), self.model)
        view = MapView(self.name, open_snapshot(self.folder, self._root, self._searches))
        view.snapshot.prepare()
        return view

    def follow(self) -> bool:
        """Serve a newer version of the map from now on, if there is one; whether there was.

        A map that can no longer be opened is served as it was.
        """
        try:
            if self.view.snapshot.store.is_newest():
                return False
            self.view = self._opened()
        except (NetvladError, OSError) as e:
            log.warning("%s is served as it was: %s", self.name, e)
            return False
        log.info("%s has %d photos now", self.name, len(self.view.snapshot.store))
        return True


class MapView:
    """A version of a map: answers, photos by id, and what is drawn of it."""

    def __init__(self, name: str, snapshot: Snapshot) -> None:
        self.name, self.snapshot = name, snapshot
        self.streets = lru_cache(maxsize=64)(self._streets)

    def __len__(self) -> int:
        return len(self.snapshot.store)

    def locate(self, names: Sequence[str], vectors: FloatArray, top: int, where: Where) -> list[dict[str, Any]]:
        """The answer for each of `names`, by its vector, as JSON. Raises PlaceIndexError where no photo is left."""
        return [self.answer(location) for location in self.snapshot.located(names, vectors, top, where)]

    def answer(self, location: Location) -> dict[str, Any]:
        """`Location.to_dict` with the map's name, words, and for each match its id; paths are those below the root."""
        answer = location.to_dict()
        for match in answer["matches"]:
            stored = self.snapshot.store.root.stored_one(match["path"])
            outside = stored == match["path"]  # whose disk it is on is nobody's business
            match |= {"id": photo_id(stored), "path": re.split(r"[\\/]", stored)[-1] if outside else stored}
        headline, more = answer_in_words(location, location.matches[0].planar)
        return {**answer, "map": self.name, "words": headline, "more": more}

    def path_of(self, id_: str) -> str | None:
        """The file of the photo with this id; None where the map has no such photo."""
        try:
            wanted = np.uint64(int(id_, 16))
        except (ValueError, OverflowError):
            return None
        ids, rows = self._ids
        at = int(np.searchsorted(ids, wanted))
        if at >= len(ids) or ids[at] != wanted:
            return None
        return str(self.snapshot.store.places(rows[at : at + 1]).path[0])

    @cached_property
    def _ids(self) -> tuple[Array, Array]:
        """The ids of all photos, ascending, and their rows."""
        paths = self.snapshot.store.held(["path"]).column("path").to_pylist()
        ids = np.fromiter((int(photo_id(path), 16) for path in paths), np.uint64, len(paths))
        rows = np.argsort(ids, kind="stable")
        return ids[rows], rows

    @cached_property
    def bounds(self) -> Box | None:
        """West, south, east and north of its photos (degrees, or metres of a planar map); None without positions."""
        north, east = self._grid
        return (
            None if not len(north) else (float(east.min()), float(north.min()), float(east.max()), float(north.max()))
        )

    @cached_property
    def _grid(self) -> tuple[Array, Array]:
        """Latitudes and longitudes, or northings and eastings, of the photos that have them."""
        spots = self.snapshot.spots
        if not spots.planar:
            known = np.isfinite(spots.lat) & np.isfinite(spots.lon)
            return spots.lat[known], spots.lon[known]
        places = self.snapshot.store.places()
        return places.northing[places.located], places.easting[places.located]

    def _streets(self, box: Box | None, most: int) -> Streets:
        return streets_within(*self._grid, box=box, most=most, geodetic=not self.snapshot.spots.planar)

    @property
    def facts(self) -> dict[str, Any]:
        """What /v1/index tells of it."""
        calibration, why = self.snapshot.calibrated
        return {
            "name": self.name,
            "photos": len(self),
            "radius": self.snapshot.radius,
            "version": self.snapshot.store.version,
            "geodetic": not self.snapshot.spots.planar,
            "bounds": self.bounds,
            "calibrated": calibration is not None,
            "uncalibrated": why or None,
        }


def photo_id(stored: str) -> str:
    """The id of a photo by its path as the map stores it: 16 hexadecimal digits."""
    import xxhash

    return xxhash.xxh3_64_hexdigest(stored.encode("utf-8", "surrogateescape"))


def open_maps(
    folders: Sequence[Path | str],
    *,
    root: str | None = None,
    trust_code: bool = False,
    elsewhere: Callable[[Path, str], Searches] | None = None,
) -> dict[str, ServedMap]:
    """Open maps by their names, which are those of their folders without suffix; equal models are loaded once.

    elsewhere: gives the searches of the shards of the map in a folder, by its name, where other machines search. Raises
    NetvladError for two maps of one name and a map without photos, PlaceIndexError and ModelError.
    """
    models: dict[str, Describer] = {}
    maps: dict[str, ServedMap] = {}
    for place in folders:
        folder = fetch(place)
        name = Path(shown(folder)).resolve().name.removesuffix(".vpr").removesuffix(".shards")
        if name in maps:
            raise NetvladError(f"is the second map that is called {name}: rename its folder", path=folder)
        manifest = read_manifest(folder)
        model = _model(models, folder, manifest, trust_code)
        searches = None if elsewhere is None else elsewhere(folder, name)
        maps[name] = ServedMap(name, folder, model, root=root, searches=searches)
        if not len(maps[name].view):
            raise NetvladError("holds no photos yet; add some first", path=folder)
    return maps


def _model(models: dict[str, Describer], folder: Path, manifest: Manifest, trust_code: bool) -> Describer:
    if manifest.identity not in models:
        models[manifest.identity] = open_model(folder, manifest, trust_code=trust_code)
    return models[manifest.identity]
