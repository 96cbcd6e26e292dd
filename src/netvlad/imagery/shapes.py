"""Areas that are drawn: polygons of a GeoJSON file, and what lies along a GPX track."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from netvlad.errors import NetvladError
from netvlad.imagery.area import DEGREE, Box, Shape, quarters, unwrapped
from netvlad.places.projection import ecef
from netvlad.runtime.files import refuse_irregular
from netvlad.types import Array, BoolArray

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

MOST = 64 << 20  # bytes of a file
ACROSS = 16  # boxes that a polygon is covered with, in each direction
SMALL = 0.02  # degrees: a box of a polygon is not made smaller
ALONG = 1000.0  # metres of a route in one box
WIDTH = 25.0  # metres to either side of a route


@dataclass(frozen=True)
class Polygons:
    """Polygons, holes included, of longitudes and latitudes. geometry: of shapely."""

    geometry: Any

    def boxes(self) -> list[Box]:
        """Boxes that hold them; where they leave out most of their surroundings, so do these."""
        import shapely

        west, south, east, north = shapely.total_bounds(self.geometry)
        side = max(SMALL, max(east - west, north - south) / ACROSS)
        found, left = [], [(float(west), float(south), float(east), float(north))]
        while left:
            box = left.pop()
            if shapely.intersects(self.geometry, shapely.box(*box)):
                small = max(box[2] - box[0], box[3] - box[1]) <= side
                found += [box] if small else []
                left += [] if small else quarters(box)
        return found

    def holds(self, lat: Array, lon: Array) -> BoolArray:
        """Which of N spots lie in them or on their edge, bool (N,)."""
        import shapely

        shapely.prepare(self.geometry)
        return np.asarray(shapely.intersects_xy(self.geometry, lon, lat), bool)


@dataclass(frozen=True)
class Route:
    """What lies within `width` metres of lines, each (N, 2) degrees of longitude and latitude."""

    lines: list[Array]
    width: float = WIDTH

    def boxes(self) -> list[Box]:
        """Boxes of about a kilometre of the way each."""
        found = []
        up = self.width / DEGREE
        number = max(1, int(ALONG / self._step))
        for line in self._fine:
            for first in range(0, len(line), number):
                part = line[first : first + number + 1]
                (west, south), (east, north) = part.min(axis=0), part.max(axis=0)
                aside = min(180.0, up / max(math.cos(math.radians(min(90.0, max(abs(south), abs(north)) + up))), 1e-9))
                found += unwrapped(west - aside, max(-90.0, south - up), east + aside, min(90.0, north + up))
        return found

    def holds(self, lat: Array, lon: Array) -> BoolArray:
        """Which of N spots lie along it, bool (N,)."""
        if not len(lat):
            return np.zeros(0, bool)
        return np.asarray(self._tree.query(ecef(lat, lon), distance_upper_bound=self.width)[0] <= self.width)

    @property
    def _step(self) -> float:
        """Metres between points: so close that the distance to the next one is, to 0.2 %, that to the line."""
        return self.width / 8

    @cached_property
    def _fine(self) -> list[Array]:
        return [_dense(line, self._step) for line in self.lines]

    @cached_property
    def _tree(self) -> cKDTree:
        from scipy.spatial import cKDTree

        points = np.concatenate(self._fine)
        return cKDTree(ecef(points[:, 1], points[:, 0]))


def shape_text(place_file: str | os.PathLike[str] | None, route: str | os.PathLike[str] | None) -> str:
    """The polygons of a GeoJSON file or the lines of a GPX track as one geometry of GeoJSON, "" for neither.

    Raises NetvladError for a file that is none, and for both.
    """
    if place_file and route:
        raise NetvladError("--place-file and --route are two areas: choose one")
    return _polygons_of(Path(place_file)) if place_file else _lines_of(Path(route)) if route else ""


def parse_shape(text: str, width: float = WIDTH) -> Shape | None:
    """The shape that `shape_text` wrote; lines are `width` metres wide to either side. None for "".

    Raises NetvladError for anything else.
    """
    if not text:
        return None
    shapely = _library()
    try:
        geometry = shapely.from_geojson(text)
    except shapely.GEOSException as e:
        raise NetvladError(f"the area is no GeoJSON: {e}") from None
    if geometry.geom_type != "MultiLineString":
        return Polygons(geometry)
    if not 0 < width < math.inf:
        raise NetvladError(f"a route is wider than 0 metres, not {width:g}")
    return Route([shapely.get_coordinates(line) for line in geometry.geoms], width)


def _polygons_of(path: Path) -> str:
    shapely = _library()
    refuse_irregular(path, most=MOST)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        geometries = [f.get("geometry") for f in content.get("features", [])] or [content.get("geometry", content)]
        read = shapely.from_geojson([json.dumps(one) for one in geometries if one])  # one that is null is of no use
    except (shapely.GEOSException, ValueError, AttributeError, TypeError, RecursionError) as e:
        raise NetvladError(f"is no GeoJSON: {e}", path=path) from None
    areas = [shapely.make_valid(part) for part in shapely.get_parts(read) if part.geom_type == "Polygon"]
    found = shapely.unary_union(areas)
    if found.is_empty or not found.area:
        raise NetvladError("has no polygon: one drawn in QGIS or on geojson.io would be", path=path)
    west, south, east, north = found.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        reason = "is not in degrees of longitude and latitude from -180 to 180: save it in WGS 84, and a polygon across"
        raise NetvladError(f"{reason} the antimeridian in two parts", path=path)
    return str(shapely.to_geojson(found))


def _lines_of(path: Path) -> str:
    shapely = _library()
    refuse_irregular(path, most=MOST)
    lines: list[list[tuple[float, float]]] = []
    try:
        for _, element in ElementTree.iterparse(path):
            if element.tag.rpartition("}")[2] in ("trkseg", "rte"):
                lines.append(_points(element))
                element.clear()
    except (ElementTree.ParseError, ValueError, TypeError) as e:
        raise NetvladError(f"is no GPX: {e}", path=path) from None
    lines = [line for line in lines if len(line) > 1]
    if not lines:
        raise NetvladError("has no track or route of two points", path=path)
    return str(shapely.to_geojson(shapely.multilinestrings([shapely.linestrings(line) for line in lines])))


def _points(segment: ElementTree.Element) -> list[tuple[float, float]]:
    """Longitude and latitude of the points of a track's segment. Raises ValueError for one off the globe."""
    points = []
    for element in segment:
        if element.tag.rpartition("}")[2] in ("trkpt", "rtept"):
            lon, lat = float(element.get("lon", "nan")), float(element.get("lat", "nan"))
            if not (abs(lat) <= 90 and abs(lon) <= 180):
                raise ValueError(f"a point at {lat}, {lon}")
            points.append((lon, lat))
    return points


def _dense(line: Array, step: float) -> Array:
    """A line (N, 2) with points in between, so that two are at most `step` metres apart; longitudes do not jump."""
    line = np.column_stack([np.unwrap(line[:, 0], period=360), line[:, 1]])
    points = ecef(line[:, 1], (line[:, 0] + 180) % 360 - 180)
    pieces = np.maximum(1, np.ceil(np.linalg.norm(np.diff(points, axis=0), axis=1) / step)).astype(int)
    at = np.concatenate([[0], np.cumsum(pieces)])
    every = np.arange(at[-1] + 1)
    return np.column_stack([np.interp(every, at, line[:, column]) for column in (0, 1)])


def _library() -> Any:
    try:
        import shapely
    except ImportError as e:
        raise NetvladError("drawn areas need shapely: pip install 'netvlad[imagery]'") from e
    return shapely
