"""Mapillary: street pictures under CC BY-SA 4.0, through version 4 of its API, with a token of one's own."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np

from netvlad.errors import NetvladError
from netvlad.imagery.area import Box
from netvlad.imagery.picture import WHOLE, Picture
from netvlad.imagery.quartering import Item
from netvlad.imagery.reader import Reader, angle, features, held, moment, plain, position
from netvlad.imagery.web import Gone, Refused

TOKENS = ("NETVLAD_MAPILLARY_TOKEN", "MAPILLARY_ACCESS_TOKEN")  # environment variables
FIELDS = "id,captured_at,geometry,computed_geometry,compass_angle,computed_compass_angle,camera_type,camera_parameters"
FILES = {"sd": "thumb_2048_url", "hd": "thumb_original_url"}
AGREE = 10.0  # degrees between a heading and a rotation, else neither pitch nor roll is believed
PANORAMAS = ("spherical", "equirectangular")


class Mapillary(Reader):
    """A reader of Mapillary. Addresses of files expire within hours, so they are asked for anew where need be."""

    name = "mapillary"
    url = "https://graph.mapillary.com"
    limit = 2000
    largest = 0.01

    @classmethod
    def headers(cls, service: str) -> dict[str, str]:
        """The token, which goes to Mapillary or to this machine and nowhere else. Raises NetvladError for none."""
        if urlsplit(service).hostname not in (urlsplit(cls.url).hostname, "127.0.0.1", "localhost"):
            raise NetvladError("is not Mapillary, and your token is sent to nobody else", path=service)
        token = next((os.environ[name].strip() for name in TOKENS if os.environ.get(name, "").strip()), "")
        if not token:
            where = "https://www.mapillary.com/dashboard/developers"
            raise NetvladError(f"Mapillary asks for a token of yours ({where}): set {TOKENS[0]} to it")
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise NetvladError("what that variable holds is no token of Mapillary", path=service)
        return {"Authorization": f"OAuth {token}"}

    def ask(self, box: Box) -> list[Item]:
        """As in `Reader`."""
        fields = f"{FIELDS},computed_rotation,width,height,creator,{FILES[self.asset]}"
        asked = {"bbox": ",".join(f"{value:.7f}" for value in box), "fields": fields, "limit": self.most}
        url = f"{self.web.service}/images?{urlencode(asked)}"
        return features(self.web.ask(url), "data", url=url)

    def picture(self, item: Item) -> Picture:
        """As in `Reader`. Positions and headings are those of the reconstruction where there is one."""
        identity = plain(item["id"])
        lon, lat = (item.get("computed_geometry") or item["geometry"])["coordinates"][:2]
        lat, lon = position(lat, lon)
        computed = item.get("computed_compass_angle")
        heading = angle(item.get("compass_angle") if computed is None else computed, turn=True)
        pitch, roll = _held(item.get("computed_rotation"), heading)
        return Picture(
            source=self.name,
            service=self.web.service,
            id=identity,
            lat=lat,
            lon=lon,
            heading=heading,
            time=_time(item.get("captured_at")),
            fov=_field_of_view(item),
            licence="CC-BY-SA-4.0",
            credit=str((item.get("creator") or {}).get("username") or "a contributor of Mapillary"),
            link=f"https://www.mapillary.com/app/?pKey={identity}",
            address=str(item[FILES[self.asset]]),
            pitch=held(pitch),
            roll=held(roll),
        )

    def still_there(self, pictures: Sequence[Picture]) -> set[str]:
        """As in `Reader`."""
        return {picture.id for picture in pictures if self._one(picture.id, "id")}

    def renewed(self, picture: Picture) -> str:
        """As in `Reader`."""
        item = self._one(picture.id, FILES[self.asset])
        if not item.get(FILES[self.asset]):
            raise Gone(404, "there is no such picture any more", picture.link)
        return str(item[FILES[self.asset]])

    def _one(self, identity: str, fields: str) -> dict[str, Any]:
        """Fields of a picture, none where Mapillary says that there is no such picture."""
        try:
            return self.web.ask(f"{self.web.service}/{identity}?{urlencode({'fields': fields})}")
        except Gone:
            return {}
        except Refused as e:
            if e.status == 400 and "does not exist" in e.said:
                return {}
            raise


def _time(milliseconds: Any) -> str:
    return moment(np.datetime64(int(milliseconds), "ms"), utc=True) if milliseconds else ""


def _held(rotation: Any, heading: float) -> tuple[float, float]:
    """Pitch and roll in degrees by the reconstruction, 0 and 0 unknown or where it contradicts the heading.

    rotation: axis times angle, from east, north and up to the camera's right, down and forward.
    """
    import cv2

    if not rotation:
        return 0.0, 0.0
    right, down, forward = cv2.Rodrigues(np.array(rotation, float).reshape(3))[0]
    looks = math.degrees(math.atan2(forward[0], forward[1]))
    if not abs((looks - heading + 180) % 360 - 180) < AGREE:
        return 0.0, 0.0
    return math.degrees(math.asin(max(-1.0, min(1.0, forward[2])))), math.degrees(math.atan2(-right[2], -down[2]))


def _field_of_view(item: Item) -> float:
    """Degrees across; a focal length is stated in parts of the longer side."""
    kind = item.get("camera_type")
    if kind in PANORAMAS:
        return WHOLE
    if kind not in (None, "perspective", "brown"):
        raise ValueError(f"is of a camera of the kind {kind}, whose pictures are bent")
    focal = (item.get("camera_parameters") or [math.nan])[0]
    width, height = float(item.get("width") or math.nan), float(item.get("height") or math.nan)
    return math.degrees(2 * math.atan(width / max(width, height) / 2 / focal)) if focal > 0 else math.nan
