"""Files of answers, each by the ending of its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from netvlad.errors import NetvladError
from netvlad.export.found.geopackage import write_gpkg
from netvlad.export.found.geoparquet import write_parquet
from netvlad.export.found.qgis_style import write_qml
from netvlad.export.found.table import Answer, Found, found_table
from netvlad.export.found.text_files import write_csv, write_geojson
from netvlad.export.found.xml_files import write_gpx, write_kml
from netvlad.export.names import refuse_existing
from netvlad.runtime.files import atomic

WRITERS: dict[str, Callable[[Found, Path], None]] = {
    ".csv": write_csv,
    ".geojson": write_geojson,
    ".gpx": write_gpx,
    ".kml": write_kml,
    ".gpkg": write_gpkg,
    ".parquet": write_parquet,
    ".qml": write_qml,
}


def check_found(file: Path) -> None:
    """Raise NetvladError for a file of answers that exists, or whose ending is none of WRITERS."""
    if file.suffix.lower() not in WRITERS:
        ending = file.suffix or "a name without ending"
        raise NetvladError(f"answers are written as {', '.join(WRITERS)}, not as {ending}", path=file)
    refuse_existing(file)


def write_found(answers: Sequence[Answer], file: Path, searched: str = "", temporary: Path | None = None) -> None:
    """Write `answers` as `found_table` has them, whole or not at all. Raises NetvladError as `check_found`.

    temporary: where to write what somebody else will put in the place of `file`.
    """
    check_found(file)
    found = found_table(answers, file.parent, searched)
    with atomic(file) if temporary is None else nullcontext(temporary) as whole:
        WRITERS[file.suffix.lower()](found, whole)


def sure_enough(answers: Sequence[Answer], least: float | None) -> list[Answer]:
    """The answers whose confidence is `least` or more; one that has none, or is an error, has confidence 0."""
    return [answer for answer in answers if least is None or (answer.get("confidence") or 0.0) >= least]
