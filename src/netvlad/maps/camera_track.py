"""Photos that one camera took within minutes help each other: nobody walks ten kilometres in one of them.

Of the best matches of each photo one is chosen, so that all fit together (Viterbi 1967, over the matches as states):
the sum of their scores, less a penalty for each metre between the matches of neighbours beyond what can be walked in
the time between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from netvlad.maps.location import Location
from netvlad.maps.match import Match
from netvlad.places.io.exif import read_camera, read_exif
from netvlad.places.projection import ecef
from netvlad.sequences.viterbi import best_path
from netvlad.types import Array


@dataclass(frozen=True)
class Track:
    """How a camera moves, and how much that counts.

    best: matches of a photo that may be its answer. gap: seconds after which a photo is no neighbour any more. speed:
    metres a second; slack: metres that positions may be off. spread: of scores; weight: of the penalty, spreads for
    each metre; most: spreads that a penalty reaches, so that one wrong photo does not drag the others along.
    """

    best: int = 20
    gap: float = 120.0
    speed: float = 1.5
    slack: float = 10.0
    spread: float = 0.1
    weight: float = 0.1
    most: float = 3.0


def follow_cameras(
    locations: Sequence[Location], shots: Mapping[str, tuple[str, float]], track: Track | None = None
) -> list[Location]:
    """The locations with the match first that fits those of the photos before and after it, in the same order.

    shots: query -> the camera and the time in seconds, for queries whose camera and time are known; others stay as they
    are. Matches without a position are not chosen. A location that gets another first match has no confidence: what is
    known of the scores says nothing of it.
    """
    track = track or Track()
    out = list(locations)
    for run in _runs(locations, shots, track.gap):
        times = np.array([shots[locations[row].query][1] for row in run])
        states = [[m for m in locations[row].matches[: track.best] if m.located] for row in run]
        for row, matches, chosen in zip(run, states, _chosen(states, times, track), strict=True):
            out[row] = _with_first(locations[row], matches[chosen])
    return out


def camera_shots(paths: Sequence[str]) -> dict[str, tuple[str, float]]:
    """Path -> camera and time in seconds, of the photos whose EXIF block tells both."""
    found = {}
    for path in paths:
        camera, shot = read_camera(path), read_exif(path)
        if camera and shot.time is not None:
            clock = "UTC" if shot.is_utc else "its own clock"  # between the two there may be hours
            found[path] = (f"{camera}, {clock}", (shot.time - datetime(1970, 1, 1)).total_seconds())
    return found


def _runs(locations: Sequence[Location], shots: Mapping[str, tuple[str, float]], gap: float) -> Iterator[list[int]]:
    """Rows of two or more photos of one camera, in order of time, none later than `gap` after the one before."""
    placed = [i for i, at in enumerate(locations) if at.query in shots and any(m.located for m in at.matches)]
    run: list[int] = []
    for row in sorted(placed, key=lambda i: shots[locations[i].query]):
        camera, time = shots[locations[row].query]
        if run:
            before, last = shots[locations[run[-1]].query]
            if before != camera or time - last > gap:
                if len(run) > 1:
                    yield run
                run = []
        run.append(row)
    if len(run) > 1:
        yield run


def _chosen(states: Sequence[Sequence[Match]], times: Array, track: Track) -> list[int]:
    """The state of each photo on the best path through `states`."""
    where = [_metres(matches) for matches in states]
    scores = [np.array([match.score for match in matches]) / track.spread for matches in states]
    steps = []
    for i in range(1, len(states)):
        apart = np.linalg.norm(where[i - 1][:, None] - where[i][None], axis=-1)
        beyond = np.maximum(apart - track.slack - track.speed * (times[i] - times[i - 1]), 0)
        steps.append((-np.minimum(track.weight * beyond, track.most), scores[i]))
    return best_path(scores[0], steps)


def _metres(matches: Sequence[Match]) -> Array:
    """Positions (k, 2 or 3) between which distances are metres."""
    if matches[0].planar:
        return np.array([(match.easting, match.northing) for match in matches])
    return ecef(np.array([match.lat for match in matches]), np.array([match.lon for match in matches]))


def _with_first(location: Location, first: Match) -> Location:
    if first is location.matches[0]:
        return location
    matches = [first, *(match for match in location.matches if match is not first)]
    why = "photos taken before and after it chose another match than the most similar"
    return replace(location, matches=matches, confidence=None, absent=None, uncalibrated=why)
