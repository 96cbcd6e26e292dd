"""netvlad locate: where was this photo taken?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: netvlad locate query.jpg --index campus.vpr --map where.html"


def run(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    index: Annotated[Path, typer.Option(help="An index made by `netvlad index`.")],
    top: Annotated[int, typer.Option(help="How many matches to show.", min=1)] = 5,
    rerank: Annotated[
        int | None, typer.Option(help="Put so many best in order by geometry: local features that agree.", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    page: Annotated[Path | None, typer.Option("--map", help="Write a page with a map and the matches.")] = None,
) -> None:
    """Say where photos were taken: a position, a radius, a confidence, and the matches behind them."""
    import json

    from netvlad.cli.common import tell_unreadable
    from netvlad.errors import ImageError
    from netvlad.maps.index import PlaceIndex

    paths = _expand(photos)
    answers = PlaceIndex.open(index).locate_all(paths, max(top, rerank or 0))
    if rerank:
        answers = _reranked(answers, rerank, top)
    found = [a for a in answers if not isinstance(a, ImageError)]
    if as_json:
        print(
            json.dumps(
                [_error(p, a) if isinstance(a, ImageError) else _plain(a) for p, a in zip(paths, answers, strict=True)],
                indent=2,
                ensure_ascii=False,
            )
        )
    else:
        for answer in found:
            _print(answer)
    if page and found:
        from netvlad.cli.common import say
        from netvlad.report.page import location_page

        location_page(found, page)
        say(f"wrote {page}")
    unreadable = {
        p: str(a).removeprefix(f"{p}: ") for p, a in zip(paths, answers, strict=True) if isinstance(a, ImageError)
    }
    tell_unreadable(unreadable)
    if unreadable:
        raise typer.Exit(1)


def _reranked(answers: list, best: int, top: int) -> list:
    from dataclasses import replace

    from netvlad.maps.location import Location
    from netvlad.maps.rerank import rerank_locations
    from netvlad.search.rerank import RerankOptions

    located = [a for a in answers if isinstance(a, Location)]
    done = iter(replace(a, matches=a.matches[:top]) for a in rerank_locations(located, RerankOptions(best)))
    return [next(done) if isinstance(a, Location) else a for a in answers]


def _expand(photos: list[Path]) -> list[str]:
    from netvlad.errors import NetvladError
    from netvlad.places.io.readers import photos_below

    paths: list[str] = []
    for photo in photos:
        if photo.is_dir():
            paths += (below := photos_below(photo))
            if not below:
                raise NetvladError(f"{photo}: no photos in this folder")
        else:
            paths.append(str(photo))
    return paths


def _print(answer) -> None:
    from netvlad.report.page import answer_in_words

    headline, sentence, _ = answer_in_words(answer, planar=answer.lat != answer.lat)
    print("\n  ".join(filter(None, [answer.query, headline, sentence])))
    for i, match in enumerate(answer, 1):
        agree = "" if match.inliers is None else f"{match.inliers} inliers  "
        print(f"  {i:2}. distance {match.distance:.3f}  {agree}{_where(match)}  {_when(match.time)}  {match.path}")
    print()


def _where(match) -> str:
    if match.lat == match.lat:
        return f"{match.lat:.6f}, {match.lon:.6f}"
    return f"{match.easting:.1f} E, {match.northing:.1f} N"


def _when(moment) -> str:
    text = str(moment)
    return "" if text == "NaT" else text


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else value


def _plain(answer) -> dict:
    keys = ("lat", "lon", "easting", "northing", "heading")
    return {
        "photo": answer.query,
        **{k: _number(getattr(answer, k)) for k in ("lat", "lon", "easting", "northing")},
        "radius": answer.radius,
        "confidence": _number(answer.confidence),
        "absent": _number(answer.absent),
        "in_map": answer.in_map,
        "matches": [
            {
                "path": m.path,
                **{k: _number(getattr(m, k)) for k in keys},
                "utm": m.utm or None,
                "time": _when(m.time) or None,
                "distance": m.distance,
                "score": m.score,
                "inliers": m.inliers,
            }
            for m in answer
        ],
    }


def _error(path: str, error: Exception) -> dict:
    return {"photo": path, "error": str(error).removeprefix(f"{path}: ")}
