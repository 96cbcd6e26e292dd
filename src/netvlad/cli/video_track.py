"""The track of a video in a map, for netvlad locate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netvlad.maps.index import PlaceIndex


def locate_video(source: Path, index: PlaceIndex, sequence: str, gpx: Path | None, as_json: bool) -> None:
    """Print where each frame of a video, list or folder was, and write the track as GPX.

    With GPX the vectors of frames are kept beside it until it is written, so that a run that was stopped goes on.
    """
    import json
    from contextlib import ExitStack

    from netvlad.cli.common import say, tell_unreadable
    from netvlad.cli.drive import kept_drive, watched
    from netvlad.cli.loops import parse_length
    from netvlad.describe.kept import KeptDescriber
    from netvlad.export.found.xml_files import gpx_track
    from netvlad.runtime.counted import counted
    from netvlad.runtime.files import write_text
    from netvlad.video.extent import started

    lost: dict[str, str] = {}
    tracker = index.track(parse_length(sequence))
    with ExitStack() as stack:
        rows = None
        if gpx is not None:
            start = started(source)
            folder = stack.enter_context(kept_drive(gpx.with_name(f"{gpx.name}.kept"), source))
            tracker.model = model = KeptDescriber(tracker.model, folder / "vectors")
            rows = stack.enter_context(model.rows)
        found = [tracker.add(frame.image, frame.t) for frame in watched(source, rows, lost=lost)]
        track = [one for one in found if one is not None] + tracker.finish()
        if gpx is not None:
            write_text(gpx, gpx_track(track, source.name, start))
            say(f"wrote {gpx}" + ("" if start else ", without times: the frames state no date"))
    if as_json:
        print(json.dumps([one.to_dict() for one in track], indent=2, ensure_ascii=False))
    else:
        for one in track:
            geodetic = (
                f"{one.lat:.6f}, {one.lon:.6f}" if one.lat == one.lat else f"{one.easting:.1f}, {one.northing:.1f}"
            )
            print(f"{one.t:9.2f} s  " + ("lost" if one.lost else f"{geodetic}  {100 * one.probability:.0f} %"))
    tell_unreadable(lost)
    say(f"{counted(len(track), 'frame')}, {sum(one.lost for one in track)} lost")
