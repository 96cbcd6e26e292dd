"""A picture that somebody else took, with what has to be told about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NO_MARGINS = (0.0, 0.0, 0.0, 0.0)
WHOLE = 360.0  # degrees: the field of view of an equirectangular panorama


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a source of street imagery.

    source: the source's name; service: its address; id: its name there. lat, lon: degrees on WGS 84. heading: degrees
    of the picture's middle clockwise from north, NaN unknown. time: ISO 8601, "" unknown. fov: horizontal field of
    view in degrees, 360 for a panorama, NaN unknown. licence: as the source names it (SPDX). credit: who took it.
    link: a page that shows it. address: of the file. size: bytes, 0 unknown. pitch, roll: degrees by which the camera
    looked up and leaned to its right, 0 unknown. margins: what the file of a panorama lacks on the left, at the top, on
    the right and at the bottom, as shares of the whole.
    """

    source: str
    service: str
    id: str
    lat: float
    lon: float
    heading: float
    time: str
    fov: float
    licence: str
    credit: str
    link: str
    address: str
    size: int = 0
    pitch: float = 0.0
    roll: float = 0.0
    margins: tuple[float, float, float, float] = NO_MARGINS

    @property
    def name(self) -> str:
        """The name of its file without suffix."""
        return f"{self.source}-{self.id}"

    @property
    def whole(self) -> bool:
        """Whether it is an equirectangular panorama."""
        return self.fov == WHOLE


def is_plain(identity: str) -> bool:
    """Whether an id of a server can be part of the name of a file."""
    return _PLAIN.fullmatch(identity) is not None
