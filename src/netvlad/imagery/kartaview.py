"""KartaView: street pictures under CC BY-SA 4.0, most of them through windscreens, through version 2 of its API."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from netvlad.imagery.area import Box
from netvlad.imagery.picture import WHOLE, Picture
from netvlad.imagery.quartering import Item
from netvlad.imagery.reader import Reader, angle, features, moment, plain, position
from netvlad.imagery.web import Gone

FILES = {
    "sd": ("imageLthUrl", "fileurlLTh", "imageProcUrl", "fileurlProc"),
    "hd": ("imageProcUrl", "fileurlProc"),  # with faces and number plates blurred
}


class KartaView(Reader):
    """A reader of KartaView. It states no zone of its times and few fields of view."""

    name = "kartaview"
    url = "https://api.openstreetcam.org"
    limit = 150

    def ask(self, box: Box) -> list[Item]:
        """As in `Reader`."""
        west, south, east, north = box
        corners = {"nwLat": north, "nwLng": west, "seLat": south, "seLng": east}
        return self._ask({**corners, "page": 1, "itemsPerPage": self.most, "orderBy": "id", "orderDirection": "asc"})

    def picture(self, item: Item) -> Picture:
        """As in `Reader`."""
        identity = plain(item["id"])
        lat, lon = position(item["lat"], item["lng"])
        if not _is_public(item):
            raise ValueError("is not public")
        kind = item.get("projection") or "PLANE"
        if kind not in ("PLANE", "SPHERE"):
            raise ValueError(f"is of the projection {kind}, whose pictures are bent")
        address = next((str(item[name]) for name in FILES[self.asset] if item.get(name)), "")
        if not address:
            raise ValueError("has no file with faces blurred")
        return Picture(
            source=self.name,
            service=self.web.service,
            id=identity,
            lat=lat,
            lon=lon,
            heading=angle(item.get("heading"), turn=True),
            time=moment(item.get("shotDate"), utc=False),
            fov=WHOLE if kind == "SPHERE" else angle(item.get("fieldOfView")),
            licence="CC-BY-SA-4.0",
            credit="Grab and KartaView contributors",
            link=f"https://kartaview.org/details/{item.get('sequenceId')}/{item.get('sequenceIndex')}/track-info",
            address=address,
        )

    def still_there(self, pictures: Sequence[Picture]) -> set[str]:
        """As in `Reader`."""
        return {picture.id for picture in pictures if self._shown(picture.id)}

    def _shown(self, identity: str) -> bool:
        try:
            found = self._ask({"id": identity})
        except Gone:
            return False
        return any(self.identity(item) == identity and _is_public(item) for item in found)

    def _ask(self, asked: dict[str, str | float]) -> list[Item]:
        url = f"{self.web.service}/2.0/photo/?{urlencode(asked)}"
        answer = self.web.ask(url)
        if isinstance(answer.get("result"), dict) and answer["result"].get("data") is None:  # there is nothing
            return []
        return features(answer, "result", "data", url=url)


def _is_public(item: Item) -> bool:
    return item.get("status") in (None, "active") and item.get("visibility") in (None, "public")
