"""The track of a video in a map, for netvlad locate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netvlad.maps.index import PlaceIndex


def locate_video(source: Path, index: PlaceIndex, sequence: str, gpx: Path | None, as_json: bool) -> None:
    """Print where each frame of a video, list or folder was, and write the track as GPX."""
    import json

    from netvlad.cli.common import say, tell_unreadable
    from netvlad.cli.loops import parse_length
    from netvlad.export.found.xml_files import gpx_track
    from netvlad.runtime.counted import counted
    from netvlad.runtime.files import write_text
    from netvlad.video.frames import read_frames

    lost: dict[str, str] = {}
    tracker = index.track(parse_length(sequence))
    found = [tracker.add(frame.image, frame.t) for frame in read_frames(source, lost=lost)]
    track = [one for one in found if one is not None] + tracker.finish()
    if as_json:
        print(json.dumps([one.to_dict() for one in track], indent=2, ensure_ascii=False))
    else:
        for one in track:
            geodetic = (
                f"{one.lat:.6f}, {one.lon:.6f}" if one.lat == one.lat else f"{one.easting:.1f}, {one.northing:.1f}"
            )
            print(f"{one.t:9.2f} s  " + ("lost" if one.lost else f"{geodetic}  {100 * one.probability:.0f} %"))
    if gpx is not None:
        write_text(gpx, gpx_track(track, source.name))
        say(f"wrote {gpx}")
    tell_unreadable(lost)
    say(f"{counted(len(track), 'frame')}, {sum(one.lost for one in track)} lost")
