"""A folder of fetched pictures: pictures/, the table places.csv, and CREDITS.

The table is an ordinary one of places with columns beside it that say what has to be told of each picture.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from netvlad.errors import PlacesError
from netvlad.imagery.picture import NO_MARGINS, Picture
from netvlad.runtime.counted import counted
from netvlad.runtime.files import atomic, write_text

TABLE = "places.csv"
COLUMNS = ("path", "lat", "lon", "heading", "time", "field_of_view", "licence", "credit", "link") + (
    ("source", "service", "id", "address", "bytes", "pitch", "roll", "margins")
)
TEXTS = {
    "etalab-2.0": "https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "ODbL-1.0": "https://opendatacommons.org/licenses/odbl/1-0/",
}


def file_of(folder: Path, picture: Picture) -> Path:
    """Where the file of a picture lies in a folder."""
    return folder / "pictures" / f"{picture.name}.jpg"


def write_fetched(folder: Path, pictures: Sequence[Picture]) -> None:
    """Write the table and CREDITS of pictures whose files are there."""
    with atomic(folder / TABLE) as whole, open(whole, "w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(picture) for picture in pictures)
    write_text(folder / "CREDITS", credits_text(pictures))


def read_fetched(folder: Path) -> list[Picture]:
    """The pictures of a folder's table; none where it has no table. Raises PlacesError for one of another kind."""
    table = folder / TABLE
    if not table.exists():
        return []
    try:
        with open(table, newline="", encoding="utf-8") as opened:
            return [_picture(row) for row in csv.DictReader(opened)]
    except (KeyError, TypeError, ValueError, csv.Error, OSError) as e:
        reason = f"is no table of fetched pictures ({type(e).__name__}: {e}): choose another folder"
        raise PlacesError(reason, path=table) from e


def credits_text(pictures: Sequence[Picture]) -> str:
    """Who took the pictures, under which licence, and where each is shown."""
    lines = [
        "Pictures by others, each under its licence. Whoever passes them on, or views cut out of them, names these."
    ]
    for (source, service), number in Counter((p.source, p.service) for p in pictures).items():
        lines.append(f"{counted(number, 'picture')} from {source}, {service}")
    for licence, number in licences(pictures).items():
        text = f", {TEXTS[licence]}" if licence in TEXTS else ""
        lines += ["", f"{licence}{text}: {counted(number, 'picture')}"]
        for credit, some in Counter(p.credit for p in pictures if p.licence == licence).most_common():
            lines.append(f"  {credit or 'by nobody named'}: {counted(some, 'picture')}")
    lines += ["", *(f"{p.name}.jpg: {p.credit or 'by nobody named'}, {p.licence}, {p.link}" for p in pictures)]
    return "\n".join(line.replace("\n", " ") for line in lines) + "\n"


def licences(pictures: Iterable[Picture]) -> Mapping[str, int]:
    """Licence -> number of pictures, the most frequent first."""
    return dict(Counter(picture.licence for picture in pictures).most_common())


def _row(p: Picture) -> list[str]:
    angles = ["" if math.isnan(angle) else f"{angle:g}" for angle in (p.heading, p.fov)]
    start = [f"pictures/{p.name}.jpg", repr(p.lat), repr(p.lon), angles[0], p.time, angles[1]]
    held = [f"{p.pitch:g}", f"{p.roll:g}", " ".join(f"{share:.6g}" for share in p.margins) if any(p.margins) else ""]
    return [*start, p.licence, p.credit, p.link, p.source, p.service, p.id, p.address, str(p.size or ""), *held]


def _picture(row: Mapping[str, str]) -> Picture:
    return Picture(
        source=row["source"],
        service=row["service"],
        id=row["id"],
        lat=float(row["lat"]),
        lon=float(row["lon"]),
        heading=float(row["heading"] or "nan"),
        time=row["time"],
        fov=float(row["field_of_view"] or "nan"),
        licence=row["licence"],
        credit=row["credit"],
        link=row["link"],
        address=row["address"],
        size=int(row["bytes"] or 0),
        pitch=float(row["pitch"] or 0),
        roll=float(row["roll"] or 0),
        margins=_margins(row["margins"]),
    )


def _margins(text: str) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, text.split()) if text else NO_MARGINS
    return left, top, right, bottom
