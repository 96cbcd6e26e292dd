"""netvlad locate: where was this photo taken?"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad.cli.found import DryRun, MinConfidence, Out, Undo, Wanted, WriteExif, Xmp, undo_last, write_answers
from netvlad.cli.options import Device, TrustCode, Unreadable
from netvlad.cli.outputs import out_file
from netvlad.cli.region import After, Bbox, Before, Near, Root, UseGps

if TYPE_CHECKING:
    from netvlad.maps.location import Location

EXAMPLE = "Example: netvlad locate query.jpg --index campus.vpr --map where.html"


def run(
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            help="Photos, folders, .tar and .zip, tables of photos, s3://BUCKET/..., or - for paths by line from stdin."
        ),
    ] = None,
    index: Annotated[str | None, typer.Option(help="An index made by `netvlad index`, a folder or s3://...")] = None,
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
    out: Out = None,
    xmp: Xmp = False,
    exif: WriteExif = False,
    undo: Undo = False,
    min_confidence: MinConfidence = None,
    dry_run: DryRun = False,
    camera_track: Annotated[
        bool, typer.Option("--camera-track", help="Photos that one camera took within minutes help each other.")
    ] = False,
    sequence: Annotated[
        str | None, typer.Option(help="Frames of a video, folder or list in order help each other: 1, 5, ..., or auto.")
    ] = None,
    gpx: Annotated[Path | None, typer.Option(help="Write the track of a video as GPX.", callback=out_file)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    trust_code: TrustCode = False,
    unreadable: Unreadable = None,
    page: Annotated[
        Path | None, typer.Option("--map", help="Write a page with a map and the matches.", callback=out_file)
    ] = None,
    device: Device = None,
) -> None:
    """Say where photos were taken: a position, a radius, a confidence, and the matches behind them.

    A region or a span of time leaves only the photos of the index there, and the confidence is that of a map of these.
    """
    from netvlad.errors import NetvladError

    if undo:
        if photos or out or xmp or exif:
            raise NetvladError("--undo takes back the last run as a whole: leave everything but --dry-run out")
        undo_last(dry_run)
        return
    if not photos:
        raise typer.BadParameter("say which photos", param_hint="PHOTOS")
    import json
    from dataclasses import replace

    from netvlad.cli.common import advise_xfeat, printable, say, tell, tell_unreadable, write_unreadable
    from netvlad.cli.video_track import locate_video
    from netvlad.maps.asked import parse_where
    from netvlad.maps.camera_track import Track, camera_shots, follow_cameras
    from netvlad.maps.confidence import DEEP
    from netvlad.maps.index import PlaceIndex
    from netvlad.places.io.queries import read_queries
    from netvlad.runtime.addresses import path_or_address
    from netvlad.runtime.counted import counted
    from netvlad.video.frames import is_video

    if sequence or gpx or is_video(photos[0]):
        if index is None or len(photos) != 1:
            raise NetvladError("the track of a video needs --index, and one video, folder or list of frames")
        here: dict[str, Any] = {"--server": server, "--rerank": rerank, "--use-gps": use_gps}
        here |= {"--camera-track": camera_track, "--min-confidence": min_confidence is not None}
        here |= {"--near": near, "--bbox": bbox, "--after": after, "--before": before, "--unreadable": unreadable}
        here |= {"--out": out, "--xmp": xmp, "--write-exif": exif, "--map": page, "--dry-run": dry_run}
        _refuse(here, "the track of a video is written by --gpx")
        opened = PlaceIndex.open(path_or_address(index), root=root, trust_code=trust_code)
        locate_video(Path(photos[0]), opened, sequence or "auto", gpx, as_json)
        return
    wanted = Wanted(out or [], xmp, exif, min_confidence, dry_run)
    wanted.check()
    if server is not None:
        here = {"--index": index, "--rerank": rerank, "--use-gps": use_gps, "--root": root, "--map": page}
        here |= {"--trust-code": trust_code, "--camera-track": camera_track}
        _refuse(here, "--server answers itself")
        paths, closed = read_queries(photos)
        conditions = {"top": top, "near": near, "bbox": bbox, "after": after, "before": before}
        answers, found = _ask(server, paths, token_file, conditions)
        answers += [{"photo": path, "error": reason} for path, reason in closed.items()]
    elif index is None:
        raise typer.BadParameter("say what to ask, --index or --server", param_hint="--index")
    else:
        if rerank and camera_track:
            raise NetvladError("--rerank and --camera-track each choose another match: leave one out")
        depth = max(top, rerank, DEEP) if rerank else max(top, Track().best) if camera_track else top
        where = parse_where(near, bbox, after, before)
        paths, closed = read_queries(photos)
        opened = PlaceIndex.open(path_or_address(index), root=root, trust_code=trust_code)
        located = opened.locate_all(paths, depth, where=where, use_gps=use_gps)
        found, unread = located.locations, {**located.unreadable, **closed}
        if rerank:
            from netvlad.maps.rerank import rerank_locations  # OpenCV is slow to load
            from netvlad.search.rerank import RerankOptions

            advise_xfeat()
            found = rerank_locations(found, RerankOptions(best=rerank))
        if camera_track:
            found = follow_cameras(found, camera_shots([path for path in paths if path not in unread]))
        found = [replace(location, matches=location.matches[:top]) for location in found]
        told = iter(found)
        every = [*paths, *closed]
        answers = [{"photo": p, "error": unread[p]} if p in unread else next(told).to_dict() for p in every]
    if as_json:
        print(json.dumps(answers, indent=2, ensure_ascii=False))
    else:
        for location in found:
            print(printable(location.to_text()), end="\n\n")
    well = write_answers(answers, wanted, PurePath(index).stem if index else "")
    if page and found:
        from netvlad.report.page import location_page

        location_page(found, page, opened.places)
        say(f"wrote {page}")
    if use_gps:
        lines = [location.query for location in found if location.gps is None]
        tell(f"{counted(len(lines), 'photo states', 'photos state')} no position; looked for everywhere", lines)
    bad = {answer["photo"]: answer["error"] for answer in answers if "error" in answer}
    tell_unreadable(bad)
    write_unreadable(bad, unreadable)
    if bad or not well:
        raise typer.Exit(1)


def _refuse(options: dict[str, Any], why: str) -> None:
    """Raise NetvladError for options that are given and would do nothing."""
    from netvlad.errors import NetvladError

    if given := [name for name, value in options.items() if value]:
        raise NetvladError(f"{why}: leave {', '.join(given)} out")


def _ask(
    server: str, paths: list[str], token_file: Path | None, conditions: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[Location]]:
    """What a server answers, and the locations of photos that it can read."""
    from netvlad.cli.serve import check_extra
    from netvlad.maps.answers import location_from_dict

    check_extra("httpx2")
    from netvlad.serve.client import locate_at
    from netvlad.serve.settings import read_token

    answers = locate_at(server, paths, token=read_token(token_file), **conditions)
    return answers, [location_from_dict(answer) for answer in answers if "error" not in answer]
