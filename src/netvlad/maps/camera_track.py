"""Photos that one camera took within minutes help each other: nobody walks ten kilometres in one of them.

Of the best matches of each photo one is chosen, so that all fit together (Viterbi 1967, over the matches as states):
the sum of their scores, less a penalty for each metre between the matches of neighbours beyond what can be walked in
the time between them. How sure the answers are is found over the same states and two more, "elsewhere in the map" and
"not in the map": what the map's calibration says of a photo by itself is seen together with its neighbours
(forward-backward).
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

LEAST = 1e-9  # probability of a match that is not among the best at all


@dataclass(frozen=True)
class Track:
    """How a camera moves, and how much that counts.

    best: matches of a photo that may be its answer. gap: seconds after which a photo is no neighbour any more. speed:
    metres a second; slack: metres that positions may be off. spread: of scores; weight: of the penalty, spreads for
    each metre; most: spreads that a penalty reaches, so that one wrong photo does not drag the others along. listed:
    share of the photos with a wrong first match that have the right one among the others. trust: exponent of what a
    photo says by itself, below 1 since neighbours err alike. The last two were chosen on campus west.
    """

    best: int = 20
    gap: float = 120.0
    speed: float = 1.5
    slack: float = 10.0
    spread: float = 0.1
    weight: float = 0.1
    most: float = 3.0
    listed: float = 0.7
    trust: float = 0.5


def follow_cameras(
    locations: Sequence[Location], shots: Mapping[str, tuple[str, float]], track: Track | None = None
) -> list[Location]:
    """The locations with the match first that fits those of the photos before and after it, in the same order.

    shots: query -> the camera and the time in seconds, for queries whose camera and time are known; others stay as they
    are. Matches without a position are not chosen. Where all photos of a run have a confidence, it becomes one that
    counts their neighbours; else a location that gets another first match has none.
    """
    track = track or Track()
    out = list(locations)
    for run in _runs(locations, shots, track.gap):
        before = [locations[row] for row in run]
        states = [[match for match in at.matches[: track.best] if match.located] for at in before]
        where = [_metres(matches) for matches in states]
        apart = _penalties(where, np.array([shots[at.query][1] for at in before]), track)
        best = _chosen(states, apart, track)
        sure: Sequence[Array | None] = [None] * len(run)
        if all(at.confidence is not None and at.matches[0].located for at in before):
            sure = _sure(before, states, where, apart, track)
        for row, at, matches, chosen, xy, known in zip(run, before, states, best, where, sure, strict=True):
            near = np.linalg.norm(xy - xy[chosen], axis=1) <= at.radius
            out[row] = _with_first(at, matches[chosen])
            if known is not None:
                confidence, absent = float(known[: len(near)][near].sum()), float(known[-1])
                out[row] = replace(out[row], confidence=confidence, absent=absent, uncalibrated="")
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


def _penalties(where: Sequence[Array], times: Array, track: Track) -> list[Array]:
    """Of each step from a photo's matches (n) to the next one's (m), in spreads: (n, m), 0 and less."""
    steps = []
    for before, after, seconds in zip(where, where[1:], np.diff(times), strict=False):
        apart = np.linalg.norm(before[:, None] - after[None], axis=-1)
        beyond = np.maximum(apart - track.slack - track.speed * seconds, 0)
        steps.append(-np.minimum(track.weight * beyond, track.most))
    return steps


def _chosen(states: Sequence[Sequence[Match]], penalties: Sequence[Array], track: Track) -> list[int]:
    """The state of each photo on the best path through `states`."""
    scores = [_scores(matches, track) for matches in states]
    return best_path(scores[0], zip(penalties, scores[1:], strict=True))


def _scores(matches: Sequence[Match], track: Track) -> Array:
    return np.array([match.score for match in matches]) / track.spread


def _sure(
    locations: Sequence[Location],
    states: Sequence[Sequence[Match]],
    where: Sequence[Array],
    penalties: Sequence[Array],
    track: Track,
) -> list[Array]:
    """Probabilities of each photo's matches, of another place in the map, and of none."""
    alone = [_alone(*each, track) for each in zip(locations, states, where, strict=True)]
    log = [track.trust * np.log(np.maximum(probabilities, LEAST)) for probabilities in alone]
    steps = [np.pad(step, (0, 2), constant_values=-track.most) for step in penalties]  # no step is free but a near one
    forward, backward = [log[0]], [np.zeros(len(log[-1]))]
    for step, own in zip(steps, log[1:], strict=True):
        forward.append(np.logaddexp.reduce(forward[-1][:, None] + step, axis=0) + own)
    for step, own in zip(reversed(steps), reversed(log[1:]), strict=True):
        backward.append(np.logaddexp.reduce(step + (own + backward[-1])[None], axis=1))
    both = [ahead + behind for ahead, behind in zip(forward, reversed(backward), strict=True)]
    return [np.exp(each - np.logaddexp.reduce(each)) for each in both]


def _alone(location: Location, matches: Sequence[Match], where: Array, track: Track) -> Array:
    """What the calibration says of one photo by itself, shared out to its matches by their scores."""
    assert location.confidence is not None
    assert location.absent is not None
    share = np.exp(_scores(matches, track) - max(_scores(matches, track)))
    near = np.linalg.norm(where - where[0], axis=1) <= location.radius
    wrong = max(0.0, 1 - location.confidence - location.absent)
    found = np.zeros(len(matches))
    found[near] = location.confidence * share[near] / share[near].sum()
    if not near.all():
        found[~near] = track.listed * wrong * share[~near] / share[~near].sum()
        wrong *= 1 - track.listed
    return np.append(found, (wrong, location.absent))


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
