"""What the readers of all services have in common: boxes are asked, and answers become pictures."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from netvlad.errors import NetvladError
from netvlad.imagery.area import Box
from netvlad.imagery.picture import Picture, is_plain
from netvlad.imagery.quartering import Item, Quartering
from netvlad.imagery.web import Web
from netvlad.places.values import times

ASSETS = ("sd", "hd")
DAMAGED = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)  # of answers of any kind


class Reader(ABC):
    """A reader of one service of street imagery: one file in this room and one line of `sources`.

    asset: which file of a picture, "sd" (about 2048 pixels wide) or "hd" (as it was taken). limit: pictures of a full
    answer. left_out: reason -> how many pictures the last search could not use. Raises NetvladError for another asset.
    """

    name: ClassVar[str]
    url: ClassVar[str]  # the usual address of the service
    limit: ClassVar[int]
    largest: ClassVar[float] = math.inf  # square degrees of a box

    def __init__(self, web: Web, *, asset: str = "sd", limit: int | None = None) -> None:
        if asset not in ASSETS:
            raise NetvladError(f"no pictures are called {asset!r}; choose sd or hd")
        self.web, self.asset, self.most = web, asset, limit or self.limit
        self.left_out: dict[str, int] = {}

    @classmethod
    def headers(cls, service: str) -> dict[str, str]:
        """What each request to the service itself carries. Raises NetvladError where that is not at hand."""
        return {}

    @abstractmethod
    def ask(self, box: Box) -> list[Item]:
        """The items of a box, at most `most`. Raises NetvladError where the server does not answer as it should."""

    @abstractmethod
    def picture(self, item: Item) -> Picture:
        """The picture of an item. Raises KeyError, TypeError or ValueError, with a reason, for one without use."""

    @abstractmethod
    def still_there(self, pictures: Sequence[Picture]) -> set[str]:
        """The ids of those pictures that the service still shows."""

    def renewed(self, picture: Picture) -> str:
        """A fresh address of a picture's file, "" where the one that it has is for good. Raises Gone, NetvladError."""
        return ""

    def search(self, boxes: Sequence[Box]) -> Iterator[Picture]:
        """Pictures of boxes, each once; some may lie outside. Raises NetvladError as `ask`."""
        seen: set[str] = set()
        self.left_out = {}
        asking = Quartering(self.ask, self.identity, self.spot, self.most, self.largest)
        for box in boxes:
            for item in asking.items(box):
                identity = self.identity(item)
                if identity not in seen:
                    seen.add(identity)
                    yield from self._usable(item)

    def identity(self, item: Item) -> str:
        """The id of an item."""
        return str(item.get("id"))

    def spot(self, item: Item) -> tuple[float, float]:
        """Longitude and latitude of an item in degrees, NaN unknown."""
        try:
            picture = self.picture(item)
        except DAMAGED:
            return math.nan, math.nan
        return picture.lon, picture.lat

    def _usable(self, item: Item) -> Iterator[Picture]:
        try:
            yield self.picture(item)
        except DAMAGED as e:
            reason = str(e) if isinstance(e, ValueError) else f"lacks {e}"
            self.left_out[reason] = self.left_out.get(reason, 0) + 1


def features(answer: dict[str, Any], *names: str, url: str) -> list[Item]:
    """The list of objects at names[0], names[1], ... of an answer. Raises NetvladError where there is none."""
    found: Any = answer
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise NetvladError(f"answers without a list of {names[-1]}, as another kind of server does", path=url)
    return found


def position(lat: Any, lon: Any) -> tuple[float, float]:
    """Latitude and longitude in degrees. Raises TypeError or ValueError for none."""
    lat, lon = float(lat), float(lon)
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError("has no position on the globe")
    return lat, lon


def plain(identity: Any) -> str:
    """An id that can be part of the name of a file. Raises ValueError for another."""
    if not is_plain(str(identity)):
        raise ValueError("has an id that is no name of a file")
    return str(identity)


def angle(value: Any, *, turn: bool = False) -> float:
    """Degrees, NaN for none. turn: from 0 to less than 360. Raises TypeError or ValueError for what is no number."""
    if value is None or value == "" or isinstance(value, bool):
        return math.nan
    degrees = float(value)
    if not math.isfinite(degrees):
        return math.nan
    return degrees % 360 if turn else degrees


def held(value: Any) -> float:
    """Pitch or roll in degrees from -180 to 180, 0 unknown. Raises TypeError or ValueError for what is no number."""
    degrees = angle(value)
    return 0.0 if math.isnan(degrees) else (degrees + 180) % 360 - 180


def moment(text: Any, *, utc: bool) -> str:
    """A time as ISO 8601, with a Z for UTC, "" for one that cannot be read."""
    found, _, bad = times([text])
    return "" if bad or np.isnat(found[0]) else f"{found[0]}{'Z' if utc else ''}"
