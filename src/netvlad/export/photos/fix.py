"""What an answer says of a photo's position, as photo programs name it."""

from __future__ import annotations

from dataclasses import dataclass

from netvlad.export.found.table import Answer, as_text

METHOD = "netvlad"  # GPSProcessingMethod
DATUM = "WGS-84"


@dataclass(frozen=True)
class Fix:
    """lat, lon: degrees. heading: that of the best match, degrees from true north, None unknown. radius: metres.

    told: what only this program has a name for.
    """

    lat: float
    lon: float
    heading: float | None
    radius: float
    told: dict[str, str]


def fix_of(answer: Answer, searched: str = "") -> Fix | None:
    """The position in an answer of `Location.to_dict`; None where it has none in degrees. searched: name of the map."""
    if answer.get("lat") is None or answer.get("lon") is None:
        return None
    best: Answer = next(iter(answer.get("matches", ())), {})
    sure = answer.get("confidence")
    told = {
        "confidence": "" if sure is None else f"{sure:.4f}",
        "verdict": answer["verdict"],
        "map": answer.get("map", searched),
        "match": best.get("path", ""),
    }
    heading = best.get("heading")
    return Fix(
        answer["lat"],
        answer["lon"],
        None if heading is None else heading % 360,
        answer["radius"],
        {name: as_text(text) for name, text in told.items() if text},
    )
