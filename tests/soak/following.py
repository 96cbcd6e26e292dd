"""A map that follows photos to which anything happens, killed at any moment, against a plain dictionary.

After each change the map must hold what the dictionary says: each content once, at one of the paths that have it, with
the place of that path. It must answer each photo by itself, be sound, and have nothing left to do; and nobody is warned
of damage, as there is none.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from soak.mutate import Rng, pick
from soak.tries import HANG, Area, Done, Fault, forked

ROUNDS, KILLS = 8, 3  # of a try; kills of a round at most
MOMENTS = (  # a sync kills itself before or after one of the calls of one of these
    "lance:LanceDataset.commit",
    "netvlad.maps.store:commit",
    "netvlad.maps.versions:flush_version",
    "netvlad.maps.versions:_tag",
    "netvlad.maps.store:Store.merge",
    "netvlad.maps.manifest:write_sealed",
    "netvlad.maps.sync:describe_fresh",
    "netvlad.search.flat_index:FlatIndex._write",
    "netvlad.search.flat_index:FlatIndex._add_missing",
    "netvlad.search.vector_file:VectorFile.append",
    "netvlad.search.compressed_index:build",
    "netvlad.search.compressed_index:write_compressed",
    "netvlad.search.compressed_index:remove_vectors",
    "netvlad.maps.calibration_file:write_sealed",
)


@dataclass
class World:
    """`folder` holds map.vpr and `below`, a folder.

    photos: path below that -> (number of its content, latitude, heading).
    """

    folder: Path
    photos: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    drawn: int = 0
    below: str = "photos"
    compressed: bool = False  # how it is searched

    def path(self, name: str) -> Path:
        return self.folder / self.below / name

    def places(self) -> Any:
        from netvlad.places import Places

        names = sorted(self.photos)
        lat, heading = ([self.photos[name][i] for name in names] for i in (1, 2))
        return Places.build(path=[self.path(name) for name in names], lat=lat, lon=34.8, heading=heading)

    def draw(self, name: str) -> int:
        """Write a photo that nobody has seen; returns the number of its content."""
        from PIL import Image

        self.drawn += 1
        pixels = np.random.default_rng(self.drawn).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.repeat(3, 0).repeat(3, 1)).save(self.path(name))
        return self.drawn


# -- what happens to photos -------------------------------------------------------------------------------------------


def _new(world: World, rng: Rng) -> None:
    name = f"{int(rng.integers(3))}/{world.drawn}.png"
    world.photos[name] = (world.draw(name), float(rng.uniform(31, 32)), float(rng.integers(360)))


def _gone(world: World, rng: Rng) -> None:
    if len(world.photos) > 3:
        name = pick(rng, sorted(world.photos))
        world.path(name).unlink()
        del world.photos[name]


def _edited(world: World, rng: Rng) -> None:
    name = pick(rng, sorted(world.photos))
    world.photos[name] = (world.draw(name), *world.photos[name][1:])


def _renamed(world: World, rng: Rng) -> None:
    old = pick(rng, sorted(world.photos))
    new = f"moved/{int(rng.integers(1000))} {Path(old).name}"
    world.path(new).parent.mkdir(exist_ok=True)
    world.path(old).rename(world.path(new))
    world.photos[new] = world.photos.pop(old)


def _replaced(world: World, rng: Rng) -> None:
    """One photo takes the name of another, which is gone."""
    old, new = pick(rng, sorted(world.photos)), pick(rng, sorted(world.photos))
    if old != new and len(world.photos) > 3:
        world.path(old).replace(world.path(new))
        world.photos[new] = world.photos.pop(old)


def _swapped(world: World, rng: Rng) -> None:
    one, other = pick(rng, sorted(world.photos)), pick(rng, sorted(world.photos))
    if one != other:
        aside = world.folder / "aside"
        for old, new in ((world.path(one), aside), (world.path(other), world.path(one)), (aside, world.path(other))):
            old.rename(new)
        (a, *first), (b, *second) = world.photos[one], world.photos[other]
        world.photos[one], world.photos[other] = (b, *first), (a, *second)  # type: ignore[assignment]


def _copied(world: World, rng: Rng) -> None:
    old = pick(rng, sorted(world.photos))
    new = f"copy {int(rng.integers(1000))} {Path(old).name}"
    shutil.copy(world.path(old), world.path(new))
    world.photos[new] = (world.photos[old][0], float(rng.uniform(31, 32)), float(rng.integers(360)))


def _corrected(world: World, rng: Rng) -> None:
    name = pick(rng, sorted(world.photos))
    content, lat, heading = world.photos[name]
    place = (lat, float(rng.integers(360))) if rng.integers(2) else (float(rng.uniform(31, 32)), heading)
    world.photos[name] = (content, *place)


def _touched(world: World, rng: Rng) -> None:
    os.utime(world.path(pick(rng, sorted(world.photos))), ns=(0, int(rng.integers(1 << 50))))


def _carried_off(world: World, rng: Rng) -> None:
    """Map and photos move together."""
    world.folder = world.folder.rename(world.folder.with_name(f"world{int(rng.integers(1000))}"))


def _photos_moved(world: World, rng: Rng) -> None:
    """The photos move, and their map does not."""
    below = f"photos{int(rng.integers(1000))}"
    (world.folder / world.below).rename(world.folder / below)
    world.below = below


HAPPENINGS: tuple[Callable[[World, Rng], None], ...] = (
    _new, _new, _gone, _edited, _renamed, _replaced, _swapped, _copied, _corrected, _corrected, _touched, _carried_off,
    _photos_moved
)  # fmt: skip


# -- what the map does ------------------------------------------------------------------------------------------------


def _opened(world: World) -> Any:
    from fixtures.rankers import Grid
    from netvlad.errors import PlaceIndexWarning
    from netvlad.images import decode
    from netvlad.maps import adding, sync
    from netvlad.maps.index import PlaceIndex
    from netvlad.search.options import SearchOptions

    warnings.simplefilter("error", PlaceIndexWarning)
    decode.CHUNK, adding.SECONDS, sync.REWRITTEN = 2, 0.0, 3 * 2 * Grid.dim  # batches of a few photos
    folder, root = world.folder / "map.vpr", world.folder / world.below
    there = (folder / "manifest.json").exists()
    index = (PlaceIndex.open if there else PlaceIndex.create)(folder, Grid(), root=root)
    index.search = SearchOptions("compressed" if world.compressed else "exact")
    return index


def _follow(world: World, moment: tuple[str, int, bool] | None) -> None:
    if moment is not None:
        _die_at(*moment)
    _opened(world).sync(world.places(), workers=0)


def _die_at(where: str, call: int, before: bool) -> None:
    """End this process by SIGKILL at a call of a function, which is named as module:name."""
    module, _, name = where.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, name = name.split(".")
    for part in outer:
        holder = getattr(holder, part)
    whole, calls = getattr(holder, name), []

    def dying(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if before and len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*args, **options)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(holder, name, dying)


def _meddle(world: World, seed: int) -> None:
    """Do to the map what a sync has to make good: remove photos, or bring back an earlier version."""
    index, rng = _opened(world), np.random.default_rng(seed)
    if rng.integers(2):
        index.remove([str(world.path(name)) for name in world.photos if rng.integers(2)])
    else:
        index.restore(pick(rng, index.versions()).number)


def _difference(world: World) -> str:
    """What of the map is not as the dictionary says; empty where all is."""
    from netvlad.maps.check import check_index

    index = _opened(world)
    held, below = index.places, world.folder / world.below
    names = [str(Path(path).relative_to(below)) for path in held.path]
    if strange := set(names) - set(world.photos):
        return f"it holds {sorted(strange)}"
    contents = [world.photos[name][0] for name in names]
    if sorted(contents) != sorted({content for content, _, _ in world.photos.values()}):
        return f"it holds the contents {sorted(contents)}"
    for row, name in enumerate(names):
        if (held.lat[row], held.heading[row]) != world.photos[name][1:]:
            return f"{name} is at {held.lat[row]}, {held.heading[row]}, not {world.photos[name][1:]}"
        best = index.locate(str(world.path(name)), top=1).matches[0]
        if best.path != held.path[row] or best.distance > 1e-2:
            return f"{name} is answered by {best.path} at {best.distance}"
    if bad := [finding for finding in check_index(index.folder, deep=True) if not finding.sound]:
        return f"it is damaged: {bad}"
    left = index.sync(world.places(), dry_run=True)
    return f"there is more to do: {left}" if left else ""


def attempt(base: Path, here: Path, rng: Rng) -> Done:
    world, told, kills = World(here / "world", compressed=bool(rng.integers(2))), [], 0
    for _ in range(int(rng.integers(5, 15))):
        _new(world, rng)
    for turn in range(ROUNDS):
        done = [pick(rng, HAPPENINGS) for _ in range(int(rng.integers(1, 6)))] if turn else []
        for happening in done:
            happening(world, rng)
        told.append(" ".join(happening.__name__ for happening in done))
        for _ in range(int(rng.integers(KILLS + 1))):
            moment = (pick(rng, MOMENTS), int(rng.integers(1, 3)), bool(rng.integers(2)))
            ended = forked(lambda: _follow(world, moment), here, kill_after=HANG)  # noqa: B023
            kills += ended.killed
            told.append(f"{moment}, killed: {ended.killed}")
            if ended.code and not ended.killed:
                raise Fault("traceback", "\n".join([*told, ended.err]))
        ended = forked(lambda: _follow(world, None), here)
        if ended.code:
            raise Fault("traceback", "\n".join([*told, ended.err]))
        ended = forked(lambda: _difference(world), here)
        if ended.code or ended.value:
            raise Fault("silent difference", "\n".join([*told, ended.err, str(ended.value)]))
        if rng.integers(3) == 0:
            ended = forked(lambda: _meddle(world, int(rng.integers(1 << 30))), here)
            told.append(f"meddled: {ended.code}")
            if ended.code:
                raise Fault("traceback", "\n".join([*told, ended.err]))
    return Done("followed", kills)


def prepare(base: Path) -> None:
    """Nothing: each try draws its own photos."""


AREA = Area("following", 0.1, prepare, attempt, few=1, seconds=20 * HANG)
