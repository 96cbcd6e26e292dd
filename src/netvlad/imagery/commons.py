"""Wikimedia Commons: photos of landmarks, each under its own free licence, through the API of MediaWiki."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from netvlad.errors import NetvladError
from netvlad.imagery.area import Box
from netvlad.imagery.picture import Picture
from netvlad.imagery.quartering import Item
from netvlad.imagery.reader import Reader, features, moment, plain, position

WIDTH = 1920  # pixels: of the widths that its servers keep at hand, that nearest to 2048
KINDS = ("image/jpeg", "image/png", "image/webp")
IDS = 50  # asked for at once
_CREATIVE = re.compile(r"cc-(by|by-sa)-\d\.\d(-[a-z]{2,3})?")
_TAG = re.compile(r"<(br|p|div|li)\b[^>]*>|<[^>]*>")


class Commons(Reader):
    """A reader of Wikimedia Commons: files with the position of their camera. It states neither heading nor zone."""

    name = "commons"
    url = "https://commons.wikimedia.org"
    limit = 500
    largest = 0.01  # a box may be 20 km wide

    def ask(self, box: Box) -> list[Item]:
        """As in `Reader`. An answer tells of some files at a time, and where to go on."""
        west, south, east, north = box
        asked = {
            "generator": "geosearch",
            "ggsbbox": f"{north:.7f}|{west:.7f}|{south:.7f}|{east:.7f}",
            "ggsnamespace": 6,
            "ggsprimary": "primary",
            "ggslimit": self.most,
            "prop": "imageinfo|coordinates",
            "coprimary": "primary",
            "colimit": self.most,
            "iiprop": "url|mime|size|extmetadata",
            "iiextmetadatafilter": "Artist|License|LicenseShortName|DateTimeOriginal",
            "iiurlwidth": WIDTH,
        }
        pages: dict[str, Item] = {}
        more: dict[str, Any] = {}
        while True:
            answer = self._ask({**asked, **more})
            if "query" in answer:  # it is absent where there is nothing
                for page in features(answer, "query", "pages", url=self.web.service):
                    pages.setdefault(str(page.get("pageid")), {}).update(page)
            following = answer.get("continue")
            if not isinstance(following, dict) or following == more:
                return list(pages.values())
            more = following

    def identity(self, item: Item) -> str:
        """As in `Reader`."""
        return str(item.get("pageid"))

    def picture(self, item: Item) -> Picture:
        """As in `Reader`."""
        (file,), (spot,) = item["imageinfo"], item["coordinates"][:1]
        lat, lon = position(spot["lat"], spot["lon"])
        if file.get("mime") not in KINDS:
            raise ValueError(f"is a file of the kind {file.get('mime')}, no photo")
        facts = {name: _plain(entry.get("value")) for name, entry in (file.get("extmetadata") or {}).items()}
        small = self.asset == "sd" and file.get("thumburl")
        return Picture(
            source=self.name,
            service=self.web.service,
            id=plain(item["pageid"]),
            lat=lat,
            lon=lon,
            heading=math.nan,
            time=moment(facts.get("DateTimeOriginal"), utc=False),
            fov=math.nan,
            licence=_licence(facts),
            credit=facts.get("Artist", ""),
            link=str(file["descriptionurl"]),
            address=str(file["thumburl"] if small else file["url"]),
            size=0 if small else int(file.get("size") or 0),
        )

    def still_there(self, pictures: Sequence[Picture]) -> set[str]:
        """As in `Reader`."""
        found: set[str] = set()
        for first in range(0, len(pictures), IDS):
            ids = [picture.id for picture in pictures[first : first + IDS]]
            answer = self._ask({"pageids": "|".join(ids)})
            pages = features(answer, "query", "pages", url=self.web.service)
            found |= {self.identity(page) for page in pages if not page.get("missing")}
        return found

    def _ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        usual = {"action": "query", "format": "json", "formatversion": 2}
        url = f"{self.web.service}/w/api.php?{urlencode({**usual, **asked})}"
        answer = self.web.ask(url)
        if "error" in answer:
            raise NetvladError(f"the server says {answer['error']}", path=url)
        return answer


def _licence(facts: Mapping[str, str]) -> str:
    """The licence as SPDX names it, or else as the page does. Raises ValueError for none."""
    code, name = facts.get("License", "").lower(), facts.get("LicenseShortName", "")
    if _CREATIVE.fullmatch(code):
        return code.upper()
    if code in ("cc0", "cc-zero") or name == "CC0":
        return "CC0-1.0"
    if not (name or code):
        raise ValueError("states no licence")
    return name or code


def _plain(text: Any) -> str:
    """Text of HTML: tags go, entities become what they stand for, and whatever ends a line a space."""
    return " ".join(html.unescape(_TAG.sub(lambda tag: " " if tag[1] else "", str(text or ""))).split())
