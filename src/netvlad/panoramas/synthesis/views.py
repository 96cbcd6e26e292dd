"""From panoramas with depth to a folder of virtual photos and the table of their places."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from netvlad.errors import NetvladError, PlacesError
from netvlad.panoramas.camera import Camera
from netvlad.panoramas.panorama import depth_path
from netvlad.panoramas.synthesis.grid import clear_view, virtual_positions
from netvlad.panoramas.synthesis.jobs import jobs, make_all, panorama_depth, view_name
from netvlad.places import Places, write_places
from netvlad.runtime.files import write_json
from netvlad.runtime.progress import progress


@dataclass(frozen=True)
class Settings:
    """What is made; by default as in Torii et al. 2015.

    spacing, reach: metres between positions, and from a panorama to one; dates: "latest" or "all" of those there;
    sources: panoramas a view is cast from, each filling holes that the nearer ones leave; headings: views around,
    the first to the north; pitch, fov: degrees; width, height: pixels; max_holes: the share of undefined pixels
    from which on a view is not kept; max_stretch: what a panorama saw that many times smaller is undefined too: a wall
    close to a virtual position would be a blur, which looks like any blur.
    """

    spacing: float = 5.0
    reach: float = 20.0
    dates: str = "latest"
    sources: int = 2
    headings: int = 12
    pitch: float = 12.0
    fov: float = 60.0
    width: int = 1280
    height: int = 960
    max_holes: float = 0.5
    max_stretch: float = 2.0

    def cameras(self) -> list[Camera]:
        step = 360 / self.headings
        return [Camera(i * step, self.pitch, 0.0, self.fov, self.width, self.height) for i in range(self.headings)]


@dataclass(frozen=True, eq=False)
class Synthesised:
    """places: the virtual photos, as in the table written; made: those of them made in this run; skipped: views not
    kept for their holes; holes: the mean share of undefined pixels in those kept; positions: virtual positions;
    unusable: panoramas nothing was cast from, with the reason."""

    places: Places
    made: int
    skipped: int
    holes: float
    positions: int
    unusable: dict[str, str]


def synthesise(
    panoramas: Places, out: str | os.PathLike, settings: Settings | None = None, *, workers: int | None = None
) -> Synthesised:
    """Cast virtual photos from `panoramas` into the folder `out`: photos/POSITION/HEADING.webp and places.parquet.

    panoramas: rows with a heading, whose photos are equirectangular and have a depth file (`panorama.depth_path`).
    A photo has alpha 0 where it is undefined. In places.parquet `panorama` names the virtual position, time and split
    are those of the nearest panorama it is cast from. What a killed run left in `out` is kept: views.csv tells, for
    each view done, its share of holes. The photos do not depend on the number of workers: processes, 0 for none but
    this one, by default one for each core but at most 4.
    Errors: PlacesError when no panorama has a depth or there is no free position; NetvladError when `out` was made
    with other settings, or a worker dies.
    """
    settings, out = settings or Settings(), Path(out)
    cameras = settings.cameras()
    _check_settings(out / "views.json", settings)
    clear, unusable = _clear_views(panoramas)
    positions = virtual_positions(
        panoramas,
        clear,
        spacing=settings.spacing,
        reach=settings.reach,
        dates=settings.dates,
        sources=settings.sources,
    )
    if not positions:
        raise PlacesError(f"no position within {settings.reach:g} m of the panoramas is free of buildings")
    write_json(out / "views.json", asdict(settings))
    names = {p.name: [view_name(p, camera) for camera in cameras] for p in positions}
    known = _read_log(out / "views.csv")
    holes = {view: known[view] for views in names.values() for view in views if _done(out, view, known, settings)}
    todo = [p for p in positions if not all(view in holes for view in names[p.name])]
    made = 0
    total = sum(len(names[p.name]) for p in todo)
    with progress("synthesising", total, "views") as advance, _open_log(out / "views.csv") as log:
        for done in make_all(jobs(panoramas, todo, out, cameras, settings.max_holes, settings.max_stretch), workers):
            log.writelines(f"{view},{share:.4f}\n" for view, share in done.views.items())
            log.flush()
            unusable |= done.unusable
            holes |= done.views
            made += done.new
            advance(len(done.views))
    return _finish(panoramas, positions, names, holes, made, unusable, out, settings)


def _check_settings(path: Path, settings: Settings) -> None:
    wanted = asdict(settings)
    if path.exists():
        has = json.loads(path.read_text("utf-8"))
        differs = [f"{key} {has.get(key)}, not {value}" for key, value in wanted.items() if has.get(key) != value]
        if differs:
            raise NetvladError(
                f"{path.parent} was made with {'; '.join(differs)}: choose another folder, or the same settings"
            )


def _clear_views(panoramas: Places) -> tuple[list[np.ndarray | None], dict[str, str]]:
    """What each panorama sees around it, None for one that is of no use, with the reason."""

    def look(i: int) -> np.ndarray | str:
        advance(1)
        if np.isnan(panoramas.heading[i]):
            return "its heading is unknown"
        path = depth_path(panoramas.path[i])
        if not path.exists():
            return f"no depth at {path}"
        try:
            return clear_view(panorama_depth(panoramas.path[i]))
        except NetvladError as e:
            return str(e)

    with progress("reading depth", len(panoramas), "panoramas") as advance, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(look, range(len(panoramas))))
    unusable = {path: why for path, why in zip(panoramas.path, found, strict=True) if isinstance(why, str)}
    if len(unusable) == len(panoramas):
        path, why = next(iter(unusable.items()), ("the table", "is empty"))
        raise PlacesError(
            f"none of {len(panoramas)} panoramas can be cast from ({path}: {why}). A panorama needs a heading, and a "
            "depth file: 16-bit PNG, centimetres along the ray; where there is none, a monocular model can supply it "
            "(netvlad.panoramas.synthesis.depth.depth_from_views)"
        )
    return [None if isinstance(view, str) else view for view in found], unusable


def _read_log(path: Path) -> dict[str, float]:
    """view -> its share of holes; the last line may be cut off."""
    known = {}
    if path.exists():
        for line in path.read_text("utf-8").splitlines()[1:]:
            view, comma, share = line.rpartition(",")
            if comma and len(share) == 6:
                known[view] = float(share)
    return known


def _open_log(path: Path):
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    log = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by who asked for it
    log.write("view,holes\n" if not log.tell() else "\n" * torn)
    return log


def _done(out: Path, view: str, known: dict[str, float], settings: Settings) -> bool:
    return view in known and (known[view] > settings.max_holes or (out / view).exists())


def _finish(panoramas, positions, names, holes, made, unusable, out, settings) -> Synthesised:
    kept = [
        (position, view, camera.heading)
        for position in positions
        for view, camera in zip(names[position.name], settings.cameras(), strict=True)
        if holes.get(view, 1.0) <= settings.max_holes and (out / view).exists()
    ]
    if not kept:
        raise PlacesError(f"none of the views of {len(positions)} positions has at most {settings.max_holes:.0%} holes")
    at, nearest = [p for p, _, _ in kept], [p.sources[0] for p, _, _ in kept]
    where = {name: [getattr(p, name) for p in at] for name in ("lat", "lon", "easting", "northing", "utm")}
    places = Places.build(
        path=[os.path.abspath(out / view) for _, view, _ in kept],
        **where,
        heading=[heading for _, _, heading in kept],
        time=panoramas.time[nearest],
        is_utc=panoramas.is_utc[nearest],
        panorama=[p.name for p in at],
        split=panoramas.split[nearest],
    )
    write_places(places, out / "places.parquet")
    share = float(np.mean([holes[view] for _, view, _ in kept]))
    skipped = sum(share > settings.max_holes for share in holes.values())
    return Synthesised(places, made, skipped, share, len(positions), unusable)
