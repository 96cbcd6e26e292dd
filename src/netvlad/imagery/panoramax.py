"""Panoramax: the open federation of street pictures, through the API that its instances and its catalogue share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from netvlad.errors import NetvladError
from netvlad.imagery.area import Box, boxes_of, quarters
from netvlad.imagery.picture import Picture, is_plain
from netvlad.imagery.web import Web
from netvlad.maps.where import Where
from netvlad.places.values import times

URL = "https://api.panoramax.xyz"  # the catalogue of all instances
LIMIT = 1000  # pictures of an answer; a server allows up to 10,000
ASSETS = ("sd", "hd")
IDS = 100  # asked for at once
SMALLEST = 1e-5  # degrees: about a metre


class Panoramax:
    """A reader of one Panoramax service.

    asset: which file of a picture, "sd" (2048 pixels wide) or "hd" (as it was taken). left_out: reason -> how many
    pictures the last search could not use. Raises NetvladError for another asset.
    """

    name = "panoramax"

    def __init__(self, web: Web, *, asset: str = "sd", limit: int = LIMIT) -> None:
        if asset not in ASSETS:
            raise NetvladError(f"no pictures are called {asset!r}; choose sd or hd")
        self.web, self.asset, self.limit = web, asset, limit
        self.left_out: dict[str, int] = {}

    def search(self, where: Where) -> Iterator[Picture]:
        """Pictures in the boxes of an area, each once; some may lie outside of the area itself.

        Raises NetvladError where the server does not answer as such a server does.
        """
        seen: set[str] = set()
        self.left_out = {}
        for box in boxes_of(where):
            for item in self._items(box):
                identity = str(item.get("id"))
                if identity not in seen:
                    seen.add(identity)
                    yield from self._usable(item)

    def still_there(self, pictures: Sequence[Picture]) -> set[str]:
        """The ids of those pictures that the server still shows."""
        found: set[str] = set()
        for first in range(0, len(pictures), IDS):
            ids = [picture.id for picture in pictures[first : first + IDS]]
            features = self._ask({"ids": ids, "limit": len(ids)})
            found |= {str(item.get("id")) for item in features}
        return found

    def _items(self, box: Box) -> Iterator[dict[str, Any]]:
        """The items of a box. An answer has no next page, so a box whose answer is full is asked in quarters.

        A server may hold a lower limit than the one that is asked for and not say so: where the quarters of the first
        box hold what the box did not, answers are full from the size of the box's answer on.
        """
        whole = self._ask_box(box)
        if len(whole) >= self.limit or not whole:
            yield from self._within(box, whole, self.limit)
            return
        parts = [(part, self._ask_box(part)) for part in quarters(box)]
        if {str(item.get("id")) for _, items in parts for item in items} <= {str(item.get("id")) for item in whole}:
            yield from whole
            return
        for part, items in parts:
            yield from self._within(part, items, len(whole))

    def _within(self, box: Box, items: list[dict[str, Any]], limit: int) -> Iterator[dict[str, Any]]:
        if len(items) < limit or box[2] - box[0] < SMALLEST:
            yield from items
            return
        for part in quarters(box):
            yield from self._within(part, self._ask_box(part), limit)

    def _ask_box(self, box: Box) -> list[dict[str, Any]]:
        return self._ask({"bbox": list(box), "limit": self.limit})

    def _ask(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        url = f"{self.web.service.rstrip('/')}/api/search"
        features = self.web.ask(url, body).get("features")
        if not isinstance(features, list) or not all(isinstance(item, dict) for item in features):
            raise NetvladError("answers without a list of features, as no Panoramax server does", path=url)
        return features

    def _usable(self, item: Mapping[str, Any]) -> Iterator[Picture]:
        try:
            picture = picture_of(item, self.web.service, self.asset)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
            reason = str(e) if isinstance(e, ValueError) else f"lacks {e}"
            self.left_out[reason] = self.left_out.get(reason, 0) + 1
        else:
            yield picture


def picture_of(item: Mapping[str, Any], service: str, asset: str) -> Picture:
    """The picture of an item of the API. Raises KeyError, TypeError or ValueError for one that cannot be used."""
    facts, identity = item["properties"], str(item["id"])
    lon, lat = (float(value) for value in item["geometry"]["coordinates"][:2])
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError("has no position on the globe")
    if not is_plain(identity):
        raise ValueError("has an id that is no name of a file")
    licence = str(facts.get("license") or "")
    if licence in ("", "proprietary", "various"):
        raise ValueError(f"has the licence {licence!r}, which allows nothing" if licence else "states no licence")
    producers = [p["name"] for p in item.get("providers") or [] if "producer" in (p.get("roles") or []) and p["name"]]
    size = int(facts.get("original_file:size") or 0) if asset == "hd" else 0
    return Picture(
        source=Panoramax.name,
        service=service.rstrip("/"),
        id=identity,
        lat=lat,
        lon=lon,
        heading=_angle(facts.get("view:azimuth")),
        time=_utc(str(facts.get("datetime") or "")),
        fov=_angle((facts.get("pers:interior_orientation") or {}).get("field_of_view"), whole=True),
        licence=licence,
        credit=", ".join(_distinct([str(facts.get("geovisio:producer") or ""), *map(str, producers)])),
        link=f"{service.rstrip('/')}/#focus=pic&pic={identity}",
        address=str(item["assets"][asset]["href"]),
        size=size,
    )


def _distinct(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]


def _utc(text: str) -> str:
    """A time as ISO 8601 in UTC, "" for one that cannot be read. Servers write it with an offset."""
    moment, _, bad = times([text])
    return "" if bad or np.isnat(moment[0]) else f"{moment[0]}Z"


def _angle(value: Any, whole: bool = False) -> float:
    """Degrees, NaN for none."""
    if value is None or isinstance(value, bool):
        return math.nan
    angle = float(value)
    if not math.isfinite(angle):
        return math.nan
    return angle if whole else angle % 360
