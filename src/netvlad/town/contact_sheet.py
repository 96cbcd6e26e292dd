"""A contact sheet of a town: the same stops on several dates, and queries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from netvlad.places import Places, read_places
from netvlad.runtime.files import atomic

CELL = (256, 192)  # pixels
ACROSS = 6  # photos in a row


def write_contact_sheet(folder: Path, out: Path) -> Path:
    """Draw the contact sheet of a split's folder into the JPEG `out` and return its path.

    It shows two stops of the survey on up to three dates, then queries by day, at sunset and by night.
    """
    database = read_places(folder / "database" / "places.parquet")
    queries = read_places(folder / "queries" / "places.parquet")
    paths = [*_stops(database), *_queries_by_light(queries)]
    rows = -(-len(paths) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * CELL[0], rows * CELL[1]), (24, 24, 24))
    for i, path in enumerate(paths):
        with Image.open(path) as image:
            photo = ImageOps.pad(image.convert("RGB"), CELL, color=(24, 24, 24))
        sheet.paste(photo, (i % ACROSS * CELL[0], i // ACROSS * CELL[1]))
    with atomic(out) as temporary:
        sheet.save(temporary, "JPEG", quality=90)
    return out


def _stops(database: Places) -> list[str]:
    """Six views of each of two stops of a neighbourhood, on up to three dates, one after the other."""
    place, date, stop = np.array([name.split("_") for name in database.panorama]).T
    home = place == place[0]
    stops, out = np.unique(stop[home]), []
    for wanted in stops[[len(stops) // 4, len(stops) // 2]]:
        for day in np.unique(date[home])[:3]:
            rows = np.flatnonzero(home & (stop == wanted) & (date == day))
            out += list(database.path[rows[:: max(1, len(rows) // ACROSS)]][:ACROSS])
    return out


def _queries_by_light(queries: Places) -> list[str]:
    out: list[str] = []
    for light in ("day", "sunset", "night"):
        found = [path for path in queries.path if f"_{light}_" in Path(path).name]
        out += found[:: max(1, len(found) // ACROSS)][:ACROSS]
    return out
