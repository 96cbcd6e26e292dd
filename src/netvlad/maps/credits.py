"""Who took the photos of a map that are by others, and under which licence they may be used: credits.csv beside it."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from netvlad.errors import PlaceIndexError
from netvlad.maps.location import Location
from netvlad.maps.match import Credit
from netvlad.runtime.files import atomic

FILE = "credits.csv"
_VIEW = re.compile(r"_h[\d.]+_p-?[\d.]+$")  # what the name of a cut-out adds to that of its panorama


@dataclass(frozen=True)
class Credits:
    """by_name: the name of a picture, without folder and suffix -> its credit."""

    by_name: Mapping[str, Credit]

    def of(self, path: str) -> Credit | None:
        """The credit of a photo, or of the panorama that it was cut out of; None for one that needs none."""
        name = os.path.splitext(os.path.basename(path))[0]
        return self.by_name.get(name) or self.by_name.get(panorama_of(name))

    def told(self, location: Location) -> Location:
        """The same location, whose matches carry their credit."""
        if not self.by_name:
            return location
        return replace(location, matches=[replace(m, credit=self.of(m.path)) for m in location.matches])


def panorama_of(name: str) -> str:
    """The name of the panorama that a view was cut out of, by that of the view, without suffix; else `name`."""
    return _VIEW.sub("", name)


def read_credits(folder: Path) -> Credits:
    """The credits of the map in `folder`; none where it has no such file. Raises PlaceIndexError for a damaged one."""
    file = folder / FILE
    if not file.exists():
        return Credits({})
    names = [field.name for field in fields(Credit)]
    try:
        with open(file, newline="", encoding="utf-8") as opened:
            rows = csv.DictReader(opened)
            return Credits({row["name"]: Credit(**{name: row[name] or "" for name in names}) for row in rows})
    except (KeyError, TypeError, ValueError, csv.Error, OSError) as e:
        raise PlaceIndexError(f"is no table of credits ({e}): `netvlad map update` writes it anew", path=file) from e


def write_credits(folder: Path, credits: Credits) -> None:
    """Write the credits of the map in `folder`, whole or not at all."""
    with atomic(folder / FILE) as whole, open(whole, "w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(["name", *(field.name for field in fields(Credit))])
        writer.writerows([name, *asdict(credit).values()] for name, credit in sorted(credits.by_name.items()))
