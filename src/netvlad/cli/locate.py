"""netvlad locate: where was this photo taken?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import TrustCode, Unreadable
from netvlad.cli.outputs import out_file
from netvlad.cli.region import After, Bbox, Before, Near, Root, UseGps

EXAMPLE = "Example: netvlad locate query.jpg --index campus.vpr --map where.html"


def run(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    index: Annotated[Path | None, typer.Option(help="An index made by `netvlad index`.")] = None,
    server: Annotated[
        str | None,
        typer.Option(help="Ask a running `netvlad serve` instead: http://HOST:PORT, with ?map=NAME for another map."),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token that the server asks for.")] = None,
    top: Annotated[int, typer.Option(help="How many matches to show.", min=1)] = 5,
    rerank: Annotated[
        int | None, typer.Option(help="Verify so many best by geometry: local features that agree.", min=1)
    ] = None,
    near: Near = None,
    bbox: Bbox = None,
    after: After = None,
    before: Before = None,
    use_gps: UseGps = False,
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    trust_code: TrustCode = False,
    unreadable: Unreadable = None,
    page: Annotated[
        Path | None, typer.Option("--map", help="Write a page with a map and the matches.", callback=out_file)
    ] = None,
) -> None:
    """Say where photos were taken: a position, a radius, a confidence, and the matches behind them.

    A region or a span of time leaves only the photos of the index there, and the confidence is that of a map of these.
    """
    import json
    from dataclasses import replace

    from netvlad.cli.common import advise_xfeat, printable, say, tell, tell_unreadable, write_unreadable
    from netvlad.errors import NetvladError
    from netvlad.maps.asked import parse_where
    from netvlad.maps.confidence import DEEP
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.rerank import rerank_locations
    from netvlad.runtime.counted import counted
    from netvlad.search.rerank import RerankOptions

    if server is not None:
        if index or rerank or use_gps or root or trust_code or page:
            raise NetvladError("--server answers itself: leave out --index, --rerank, --use-gps, --root and --map")
        _ask(server, photos, token_file, unreadable, as_json, top=top, near=near, bbox=bbox, after=after, before=before)
        return
    if index is None:
        raise typer.BadParameter("say what to ask, --index or --server", param_hint="--index")
    options = RerankOptions(best=rerank) if rerank else None
    where = parse_where(near, bbox, after, before)
    paths, closed = _expand(photos)
    opened = PlaceIndex.open(index, root=root, trust_code=trust_code)
    located = opened.locate_all(paths, max(top, rerank, DEEP) if rerank else top, where=where, use_gps=use_gps)
    found, bad = located.locations, {**located.unreadable, **closed}
    if options:
        advise_xfeat()
        verified = rerank_locations(found, options)
        found = [replace(location, matches=location.matches[:top]) for location in verified]
    if as_json:
        answers = iter(found)
        plain = [{"photo": p, "error": bad[p]} if p in bad else next(answers).to_dict() for p in [*paths, *closed]]
        print(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        for location in found:
            print(printable(location.to_text()), end="\n\n")
    if page and found:
        from netvlad.report.page import location_page

        location_page(found, page, opened.places)
        say(f"wrote {page}")
    if use_gps:
        lines = [location.query for location in found if location.gps is None]
        tell(f"{counted(len(lines), 'photo states', 'photos state')} no position; looked for everywhere", lines)
    tell_unreadable(bad)
    write_unreadable(bad, unreadable)
    if bad:
        raise typer.Exit(1)


def _ask(
    server: str,
    photos: list[Path],
    token_file: Path | None,
    unreadable: Path | None,
    as_json: bool,
    **conditions: str | int | None,
) -> None:
    """Print what a server answers."""
    import json

    from netvlad.cli.common import printable, tell_unreadable, write_unreadable
    from netvlad.cli.serve import check_extra
    from netvlad.maps.answers import location_from_dict

    check_extra("httpx2")
    from netvlad.serve.client import locate_at
    from netvlad.serve.settings import read_token

    paths, bad = _expand(photos)
    answers = locate_at(server, paths, token=read_token(token_file), **conditions)
    answers += [{"photo": path, "error": reason} for path, reason in bad.items()]
    bad = {answer["photo"]: answer["error"] for answer in answers if "error" in answer}
    if as_json:
        print(json.dumps(answers, indent=2, ensure_ascii=False))
    else:
        for answer in answers:
            if "error" not in answer:
                print(printable(location_from_dict(answer).to_text()), end="\n\n")
    tell_unreadable(bad)
    write_unreadable(bad, unreadable)
    if bad:
        raise typer.Exit(1)


def _expand(photos: list[Path]) -> tuple[list[str], dict[str, str]]:
    """The photos, and folders that cannot be read with the reason."""
    from netvlad.errors import NetvladError
    from netvlad.places.io.readers import walk_photos

    paths: list[str] = []
    closed: dict[str, str] = {}
    for photo in photos:
        if photo.is_dir():
            below, unseen = walk_photos(photo)
            paths += below
            closed |= unseen
            if not below and not unseen:
                raise NetvladError(f"{photo}: no photos in this folder")
        else:
            paths.append(str(photo))
    return paths, closed
