"""Panoramax: the open federation of street pictures, through the API that its instances and its catalogue share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netvlad.imagery.area import Box
from netvlad.imagery.picture import NO_MARGINS, Picture
from netvlad.imagery.quartering import Item
from netvlad.imagery.reader import Reader, angle, features, held, moment, plain, position

IDS = 100  # asked for at once


class Panoramax(Reader):
    """A reader of one Panoramax service. An answer of a box is sorted by the distance from its middle."""

    name = "panoramax"
    url = "https://api.panoramax.xyz"  # the catalogue of all instances
    limit = 1000  # a server allows up to 10,000

    def ask(self, box: Box) -> list[Item]:
        """As in `Reader`."""
        return self._ask({"bbox": list(box), "limit": self.most})

    def picture(self, item: Item) -> Picture:
        """As in `Reader`."""
        return picture_of(item, self.web.service, self.asset)

    def still_there(self, pictures: Sequence[Picture]) -> set[str]:
        """As in `Reader`."""
        found: set[str] = set()
        for first in range(0, len(pictures), IDS):
            ids = [picture.id for picture in pictures[first : first + IDS]]
            found |= {self.identity(item) for item in self._ask({"ids": ids, "limit": len(ids)})}
        return found

    def _ask(self, body: Mapping[str, Any]) -> list[Item]:
        url = f"{self.web.service}/api/search"
        return features(self.web.ask(url, body), "features", url=url)


def picture_of(item: Mapping[str, Any], service: str, asset: str) -> Picture:
    """The picture of an item of the API. Raises KeyError, TypeError or ValueError for one that cannot be used."""
    facts, identity = item["properties"], plain(item["id"])
    lon, lat = item["geometry"]["coordinates"][:2]
    lat, lon = position(lat, lon)
    inside = facts.get("pers:interior_orientation") or {}
    licence = str(facts.get("license") or "")
    if licence in ("", "proprietary", "various"):
        raise ValueError(f"has the licence {licence!r}, which allows nothing" if licence else "states no licence")
    producers = [p["name"] for p in item.get("providers") or [] if "producer" in (p.get("roles") or []) and p["name"]]
    size = int(facts.get("original_file:size") or 0) if asset == "hd" else 0
    return Picture(
        source=Panoramax.name,
        service=service,
        id=identity,
        lat=lat,
        lon=lon,
        heading=angle(facts.get("view:azimuth"), turn=True),
        time=moment(facts.get("datetime"), utc=True),
        fov=angle(inside.get("field_of_view")),
        licence=licence,
        credit=", ".join(_distinct([str(facts.get("geovisio:producer") or ""), *map(str, producers)])),
        link=f"{service}/#focus=pic&pic={identity}",
        address=str(item["assets"][asset]["href"]),
        size=size,
        pitch=held(facts.get("pers:pitch")),
        roll=held(facts.get("pers:roll")),
        margins=_margins(inside),
    )


def _margins(inside: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """What the file lacks of the whole, of which the server tells pixels. Raises ValueError for what leaves nothing."""
    if not inside.get("visible_area"):
        return NO_MARGINS
    (left, top, right, bottom), (width, height) = inside["visible_area"], inside["sensor_array_dimensions"]
    found = (left / width, top / height, right / width, bottom / height)
    if not (min(found) >= 0 and found[0] + found[2] < 1 and found[1] + found[3] < 1):
        raise ValueError("shows no part of a panorama")
    return found


def _distinct(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]
