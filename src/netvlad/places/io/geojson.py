"""Read GeoJSON (RFC 7946) into named columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places.io.columns import Raw
from netvlad.places.io.geometry import add_points
from netvlad.places.io.roles import roles
from netvlad.places.values import shown

if TYPE_CHECKING:
    from netvlad.places.values import Column


def read_geojson(path: str, given: Mapping[str, str]) -> Raw:
    """The properties of the features, and their points. given: as in `roles`.

    Raises PlacesError for a file that is no GeoJSON.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except ValueError as error:
        raise PlacesError(f"is not JSON: {error}", path=path) from None
    except RecursionError:
        raise PlacesError("is not GeoJSON: brackets are nested hundreds of times", path=path) from None
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise PlacesError("is not GeoJSON; expected a FeatureCollection with a list of features", path=path)
    raw = _properties(path, features, given)
    points = np.full((len(features), 2), np.nan)
    for row, feature in enumerate(features):
        geometry = feature.get("geometry")
        if geometry:
            points[row] = _point(geometry, row, raw)
    add_points(raw, points, _crs(content, path))
    return raw


def _properties(path: str, features: list[dict[str, Any]], given: Mapping[str, str]) -> Raw:
    """The properties that are of use: a table of all could be far larger than the file."""
    found = [feature.get("properties") or {} for feature in features]
    rows = [row if isinstance(row, dict) else {} for row in found]
    names = list(dict.fromkeys(name for row in rows for name in row))
    used = set(roles(names, path, given).values())
    columns: dict[str, Column] = {name: [row.get(name) for row in rows] for name in names if name in used}
    raw = Raw(path, columns, range(1, len(rows) + 1), unread=[name for name in names if name not in used], given=given)
    raw.unplaced |= {
        row: f"properties are {shown(value)}, not an object"
        for row, value in enumerate(found)
        if not isinstance(value, dict)
    }
    return raw


def _point(geometry: Any, row: int, raw: Raw) -> tuple[float, float]:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    at = geometry.get("coordinates") if isinstance(geometry, dict) else None
    numbers = at[:2] if isinstance(at, list) else []
    try:
        if len(numbers) == 2 and all(type(number) in (int, float) for number in numbers):
            return float(numbers[0]), float(numbers[1])
        raw.unplaced[row] = f"geometry {shown(kind)} without one [lon, lat]; a place is a Point"
    except OverflowError:
        raw.unplaced[row] = "a coordinate has hundreds of digits"
    return np.nan, np.nan


def _crs(content: dict[str, Any], path: str) -> Any:
    """The frame of the coordinates: before RFC 7946 a file could name another, and GDAL still writes that."""
    crs = content.get("crs")
    if not crs:
        return "OGC:CRS84"
    properties = crs.get("properties", {}) if isinstance(crs, dict) else None
    if not isinstance(properties, dict):
        raise PlacesError('its "crs" is no object with the properties and name of a frame', path=path)
    return properties.get("name", "OGC:CRS84")
