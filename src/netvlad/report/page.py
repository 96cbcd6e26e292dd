"""Pages for a browser: one HTML file with its photos, map and numbers, which needs no network."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from netvlad.evaluation.protocol_text import right
from netvlad.evaluation.result import Evaluation, MethodResult
from netvlad.maps.location import Location, answer_in_words
from netvlad.maps.match import Match
from netvlad.places import Places, distance
from netvlad.places.projection import ecef
from netvlad.report.backdrop import streets_around
from netvlad.report.values import number
from netvlad.runtime.files import atomic

THUMB = 200  # longest side in pixels
QUALITY = 70  # of the JPEG: about 7 kB a photo
MATCHES = 5  # shown for each query


def evaluation_page(evaluation: Evaluation, parts: dict[str, str], rows: np.ndarray, path: str | Path) -> Path:
    """Write the page of an evaluation: its numbers, a map of all queries, photos of some; returns its path.

    parts: HTML for each placeholder of templates/evaluation.html (see `recall_report.write_report`). rows (R,) int:
    the queries that are shown with photos. An unreadable photo becomes a frame that gives the reason. The write is
    atomic. Raises OSError.
    """
    database, queries = evaluation.database, evaluation.queries
    planar = not (database.geodetic and queries.geodetic)
    shown = np.isin(np.arange(len(queries)), rows)
    thumbs = Thumbnails()
    at, names = positions(queries, planar), short_names(queries.path.tolist())
    entries = []
    for q, path_ in enumerate(queries.path):
        thumb = thumbs.of(path_) if shown[q] else None
        entry = _entry(names[q], at[q], queries.time[q], thumb)
        entries.append({**entry, "matched": bool(evaluation.matched[q])})
    methods = [_ranking(method, evaluation, shown) for method in evaluation.methods]
    at, names = positions(database, planar), short_names(database.path.tolist())
    with_photo = {match[0] for method in methods for q in rows for match in method["matches"][q]}
    spoken_of = {match[0] for method in methods for matches in method["matches"] for match in matches}
    photos = {}
    for row in sorted(spoken_of):
        thumb = thumbs.of(database.path[row]) if row in with_photo else None
        photos[str(row)] = _entry(names[row], at[row], database.time[row], thumb)
    data = {
        "geodetic": not planar,
        "right": right(evaluation.protocol),
        "streets": streets_around(database, [spot for spot in [*at, *(e["at"] for e in entries)] if spot], planar),
        "database": [spot for spot in dict.fromkeys(at) if spot],  # the cut-outs of a panorama are one dot
        "queries": entries,
        "photos": photos,
        "methods": methods,
        "thumbs": thumbs.embed(),
    }
    body = fill("evaluation.html", **parts)
    return write_page(path, parts["title"], body, data, "rows.js", "evaluation.js")


def _entry(name: str, at: tuple[float, float] | None, time: Any, thumb: int | None) -> dict[str, Any]:
    return {"name": name, "at": at, "time": when(time), "thumb": thumb}


def _ranking(method: MethodResult, evaluation: Evaluation, shown: np.ndarray) -> dict[str, Any]:
    """The best matches of a method, best first: [row, metres from the query's true position, score, correct]."""
    ids, correct = method.ids, method.correct
    best, queries = ids[:, :MATCHES], evaluation.queries
    away = [distance(queries, evaluation.database[best[:, r]]) for r in range(best.shape[1])]
    matches = [
        [
            [int(best[q, r]), number(away[r][q], 2), number(method.scores[q, r], 6), int(correct[q, r])]
            for r in range(best.shape[1] if shown[q] else min(1, best.shape[1]))
            if best[q, r] >= 0
        ]
        for q in range(len(queries))
    ]
    first = np.where(correct.any(axis=1), correct.argmax(axis=1) + 1, 0)  # rank of the first correct match, 0: none
    return {"name": method.name, "depth": ids.shape[1], "first": first.tolist(), "matches": matches}


def location_page(results: Sequence[Location], path: str | Path, database: Places | None = None) -> Path:
    """Write the page of `netvlad locate`: each photo, where it was taken, and the matches that say so.

    database: the places of the map, whose streets are drawn around the answers. Returns `path`; the write is atomic.
    """
    points: list[Location | Match] = [*results, *(match for result in results for match in result.matches)]
    planar = any(number(point.lat, 7) is None and number(point.easting, 2) is not None for point in points)
    thumbs = Thumbnails(longest=2 * THUMB)  # a few photos, each to be looked at
    names = iter(short_names([match.path for result in results for match in result.matches]))
    answers, sections = [], []
    for i, result in enumerate(results):
        matches = [
            {
                **_entry(next(names), position(match, planar), match.time, thumbs.of(match.path)),
                "metres": number(_metres(match, result, planar), 2),
                "distance": number(match.distance, 4),
                "score": number(match.score, 4),
                "heading": number(match.heading, 1),
                "credit": None if match.credit is None else f"by {match.credit}",
            }
            for match in result.matches
        ]
        name = os.path.basename(result.query)
        answer = _entry(name, position(result, planar), None, thumbs.of(result.query))
        words, more = (escape(text) for text in answer_in_words(result, planar))
        kind = "away" if result.in_map is False or answer["at"] is None else ""
        answer |= {"radius": number(result.radius, 2), "away": bool(kind), "matches": matches}
        answers.append(answer)
        sections.append(fill("photo.html", i=str(i), name=escape(name), words=words, more=more, kind=kind))
    marks = [mark["at"] for answer in answers for mark in (answer, *answer["matches"]) if mark["at"]]
    streets = streets_around(database, marks, planar)
    data = {"geodetic": not planar, "answers": answers, "streets": streets, "thumbs": thumbs.embed()}
    asked = "was this photo" if len(results) == 1 else f"were these {len(results)} photos"
    title = f"Where {asked} taken?"
    body = fill("location.html", title=title, sections="\n".join(sections))
    return write_page(path, title, body, data, "location.js")


def _metres(match: Match, location: Location, planar: bool) -> float:
    if planar:
        return float(np.hypot(match.easting - location.easting, match.northing - location.northing))
    # a chord: 1 mm short of an arc of 10 km
    lat, lon = np.array([match.lat, location.lat]), np.array([match.lon, location.lon])
    return float(np.linalg.norm(np.diff(ecef(lat, lon), axis=0)))


class Thumbnails:
    """Photos to embed, each distinct path once: `of(path)` gives its id, `embed()` decodes them all."""

    def __init__(self, longest: int = THUMB) -> None:
        self.longest = longest
        self.ids: dict[str, int] = {}

    def of(self, path: str) -> int:
        return self.ids.setdefault(os.fspath(path), len(self.ids))

    def embed(self) -> list[dict[str, Any]]:
        """One entry an id: {"src": data URI of a JPEG}, or {"error": why there is none}."""
        from PIL import Image

        from netvlad.images.decode import decode_photos

        entries = []
        for chunk in decode_photos(list(self.ids), resize=self.longest):
            for photo in chunk:
                if photo.image is None:
                    entries.append({"error": photo.reason})
                    continue
                jpeg = BytesIO()
                Image.fromarray(photo.image).save(jpeg, "JPEG", quality=QUALITY, optimize=True)
                src, (height, width) = data_uri("image/jpeg", jpeg.getvalue()), photo.image.shape[:2]
                entries.append({"src": src, "ratio": round(width / height, 3)})
        return entries


def write_page(path: str | Path, title: str, body: str, data: dict[str, Any], *scripts: str) -> Path:
    """Put a body, its data and the scripts of templates/ that draw it into one self-contained file."""
    # Leaflet's style names pictures for controls that are not used here; without them it can ask for nothing.
    leaflet_css = re.sub(r"url\([^)]*\)", "none", _read("vendor/leaflet/leaflet.css"))
    html = fill(
        "base.html",
        title=escape(title),
        body=body,
        data=script_json(data),
        leaflet_css=leaflet_css,
        leaflet=_read("vendor/leaflet/leaflet.js").replace("//# sourceMappingURL=leaflet.js.map", ""),
        style=_read("templates/style.css"),
        script="\n".join(_read(f"templates/{script}") for script in ("common.js", *scripts)),
    )
    with atomic(path) as temporary:
        # "replace": a file name may hold bytes that are no text
        temporary.write_text(html, encoding="utf-8", errors="replace")
    return Path(path)


def script_json(value: Any) -> str:
    """JSON that may stand inside <script>: ASCII, and without the characters that could end it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def fill(template: str, **parts: str) -> str:
    return Template(_read(f"templates/{template}")).substitute(parts)


def data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def position(point: Location | Match, planar: bool) -> tuple[float, float] | None:
    """(lat, lon) to a centimetre, or (northing, easting) in metres: both run north, then east."""
    digits = 2 if planar else 7
    north = number(point.northing if planar else point.lat, digits)
    east = number(point.easting if planar else point.lon, digits)
    return None if north is None or east is None else (north, east)


def positions(places: Places, planar: bool) -> list[tuple[float, float] | None]:
    """`position` of each place of a table."""
    north, east = (places.northing, places.easting) if planar else (places.lat, places.lon)
    pairs = np.column_stack([north, east]).astype(float).round(2 if planar else 7).tolist()
    return [(north, east) if np.isfinite([north, east]).all() else None for north, east in pairs]


def short_names(paths: Sequence[str]) -> list[str]:
    """Paths below the folder they share: who reads a page need not see whose disk it came from."""
    try:
        shared = os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # none at all, or some absolute and some not
        return [os.path.basename(path) for path in paths]
    return [os.path.relpath(path, shared) for path in paths]


def when(time: Any) -> str | None:
    """A time to the minute, as people write it; None when it is not known."""
    if time is None or np.isnat(np.datetime64(time, "s")):
        return None
    return str(np.datetime64(time, "m")).replace("T", " ")


def _read(name: str) -> str:
    return resources.files("netvlad.report").joinpath(name).read_text("utf-8")
