"""Damaged maps: the answers are those of the undamaged map, or the damage is told.

A silent difference is: answers (matches in order, positions, distances, confidence) other than the undamaged map's
while nothing was said that names the map or a part of it. A word said of an undamaged map is a false alarm.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import NetvladError
from netvlad.maps.index import PlaceIndex
from netvlad.places import Places
from soak import world
from soak.map_damage import damage_map
from soak.mutate import Rng
from soak.tries import Area, Done, Fault, check_message, forked, heard

VIEWS, PLACES = 3, 14
CONTROL = 0.03  # share of maps that nobody damages
HEAL = 0.25  # share to which the photos are added again first


def prepare(base: Path) -> None:
    """Two maps of one kind: of other photos, by another fit of the model."""
    world.write_weights(base / "weights")
    for name, seed in (("map", 1), ("other", 2)):
        paths = world.draw_photos(base / f"photos-{name}", PLACES, VIEWS, seed)
        world.write_model(base / "weights", base / f"model-{name}", paths[:20])
        forked(lambda name=name, paths=paths: _build(base, name, paths), base, seconds=120)
    queries = world.draw_photos(base / "queries", 2, 1, 3) + world.draw_photos(base / "photos-map", 0, 0, 1)
    queries += [str(base / "photos-map" / f"{place:03d}_0.jpg") for place in (0, 5, 9, 13)]
    (base / "queries.json").write_text(json.dumps(queries))
    said = forked(lambda: ask(base / "map.vpr", base), base)
    if said.code:
        raise RuntimeError(said.err)
    (base / "answers.json").write_text(json.dumps(said.value))


def _build(base: Path, name: str, paths: list[str]) -> None:
    import netvlad

    index = PlaceIndex.create(base / f"{name}.vpr", netvlad.load(base / f"model-{name}"))
    places = world.street(paths, VIEWS)
    for part in (slice(0, 15), slice(15, 30), slice(30, None)):  # several files of vectors
        index.add(places[np.arange(len(places))[part]], workers=0)


def ask(folder: Path, base: Path) -> list[dict[str, Any]]:
    """The answers of a map to a fixed set of queries, as JSON has them."""
    found = PlaceIndex.open(folder).locate_all(json.loads((base / "queries.json").read_text()), top=6)
    answers = [location.to_dict() for location in found.locations]
    return json.loads(json.dumps([*answers, dict(found.unreadable)]))  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _answers(base: Path) -> list[dict[str, Any]]:
    return json.loads((base / "answers.json").read_text())  # type: ignore[no-any-return]


def _places(base: Path) -> Places:
    paths = [str(base / "photos-map" / f"{p:03d}_{v}.jpg") for p in range(PLACES) for v in range(VIEWS)]
    return world.street(paths, VIEWS)


def attempt(base: Path, here: Path, rng: Rng) -> Done:
    folder = here / "map.vpr"
    shutil.copytree(base / "map.vpr", folder)
    control = rng.random() < CONTROL
    what = "nothing" if control else damage_map(folder, base / "other.vpr", rng)
    (here / "damage.txt").write_text(what + "\n")
    heal, refused, answers = rng.random() < HEAL, "", None
    with heard(here) as said:
        try:
            if heal:
                PlaceIndex.open(folder).add(_places(base), workers=0)
            answers = ask(folder, base)
        except NetvladError as e:
            refused = str(e)
            check_message(refused)
    told = [line for line in said if _names_the_map(line)]
    if control and (refused or said or answers != _answers(base)):
        raise Fault("false alarm", f"of an undamaged map: {refused or said or 'other answers'}")
    if refused:
        if not _names_the_map(refused):
            raise Fault("unnamed", f"{what}: {refused}")
        return Done("refused")
    same = answers == _answers(base)
    if not same and not told:
        raise Fault("silent difference", f"{what}: {_difference(answers or [], _answers(base))}")
    return Done("the same" if same else "told")


def _names_the_map(text: str) -> bool:
    parts = ("map.vpr", "search.faiss", "calibration", "manifest", "places.lance", "model")
    return any(part in text for part in parts)


def _difference(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> str:
    for number, (a, b) in enumerate(zip(got, wanted, strict=False)):
        keys = [key for key in b if a.get(key) != b[key]] if isinstance(b, dict) else []
        if keys:
            first = next((k for k in keys if k != "matches"), keys[0])
            where = [os.path.basename(match["path"]) for match in a.get("matches", [])]
            values = f"{first} {str(a.get(first))[:200]}, not {str(b[first])[:200]}"
            return f"query {number}, {', '.join(keys)}: {values}; {where}"
    return f"{len(got)} answers, not {len(wanted)}"


AREA = Area("maps", 0.20, prepare, attempt, 15)
