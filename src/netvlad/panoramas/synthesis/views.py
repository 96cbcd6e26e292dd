"""View synthesis: a folder of virtual photos, with a table of their places, from panoramas with depth."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np

from netvlad.errors import NetvladError, PlacesError
from netvlad.panoramas.camera import Camera
from netvlad.panoramas.panorama import depth_path
from netvlad.panoramas.synthesis.grid import VirtualPosition, clear_view, virtual_positions
from netvlad.panoramas.synthesis.jobs import panorama_depth, plan_jobs, run_job, view_name
from netvlad.places import Places, write_places
from netvlad.runtime.files import write_json
from netvlad.runtime.progress import progress
from netvlad.runtime.workers import default_workers, in_order
from netvlad.types import FloatArray


@dataclass(frozen=True)
class Settings:
    """Which views are rendered; the defaults are those of Torii et al. 2015.

    spacing, reach: metres between virtual positions, and at most from a panorama to one. dates: "latest" or "all", of
    the panoramas of several dates at a place. sources: number of panoramas for a view; each fills holes that the
    nearer ones leave. headings: number of views around a position, the first to the north. pitch, fov: degrees.
    width, height: pixels. max_holes: views with a larger share of undefined pixels are not kept. max_stretch: surfaces
    that a panorama saw more than so many times smaller are undefined, for a wall close by would be a mere blur.
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
    """What `synthesise` did.

    places: of the virtual photos, as in the table. made: number of photos written by this run. skipped: number of
    views with too many holes. holes: mean share of undefined pixels in the photos. positions: number of virtual
    positions. unusable: panorama -> reason why nothing was rendered from it.
    """

    places: Places
    made: int
    skipped: int
    holes: float
    positions: int
    unusable: dict[str, str]


def synthesise(
    panoramas: Places, out: str | os.PathLike[str], settings: Settings | None = None, *, workers: int | None = None
) -> Synthesised:
    """Render virtual photos from `panoramas` into the folder `out`: photos/POSITION/HEADING.webp and places.parquet.

    panoramas: rows with a heading, whose photos are equirectangular and have a depth file (`panorama.depth_path`).
    A photo has alpha 0 where it is undefined. In places.parquet, `panorama` names the virtual position; time and split
    are those of its nearest source. Views that a killed run left in `out` are kept: views.csv has the share of holes
    of each view done. workers: processes; 0 renders here, by default one per core but at most 4.
    Raises PlacesError if no panorama has depth or no position is free, NetvladError if `out` was made with other
    settings or a worker dies.
    """
    settings, out = settings or Settings(), Path(out)
    cameras = settings.cameras()
    _check_settings(out / "views.json", settings)
    clear, unusable = _clear_views(panoramas)
    positions = virtual_positions(
        panoramas, clear, spacing=settings.spacing, reach=settings.reach, dates=settings.dates, sources=settings.sources
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
    planned = plan_jobs(panoramas, todo, out, cameras, settings.max_holes, settings.max_stretch)
    with progress("synthesising", total, "views") as advance, _open_log(out / "views.csv") as log:
        for done in in_order(run_job, planned, default_workers(len(planned), workers)):
            log.writelines(f"{view},{share:.4f}\n" for view, share in done.views.items())
            log.flush()
            unusable |= done.unusable
            holes |= done.views
            made += done.new
            advance(len(done.views))
    return _finish(panoramas, positions, names, holes, made, unusable, out, settings)


def _check_settings(path: Path, settings: Settings) -> None:
    """Raise NetvladError if the folder was made with other settings."""
    wanted = asdict(settings)
    if path.exists():
        try:
            has = json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError) as e:
            raise NetvladError(f"cannot be read as the settings of these views ({e})", path=path) from e
        if not isinstance(has, dict):
            raise NetvladError(f"is no object with the settings of these views but a {type(has).__name__}", path=path)
        differs = [f"{key} {has.get(key)}, not {value}" for key, value in wanted.items() if has.get(key) != value]
        if differs:
            raise NetvladError(
                f"{path.parent} was made with {'; '.join(differs)}: choose another folder, or the same settings"
            )


def _clear_views(panoramas: Places) -> tuple[list[FloatArray | None], dict[str, str]]:
    """`clear_view` of each panorama, None if it cannot be used, and path -> reason of those."""
    views: list[FloatArray | None] = []
    unusable: dict[str, str] = {}
    with progress("reading depth", len(panoramas), "panoramas") as advance, ThreadPoolExecutor(4) as pool:
        for path, (view, reason) in zip(
            panoramas.path, pool.map(_clear_view, panoramas.path, panoramas.heading), strict=True
        ):
            views.append(view)
            if view is None:
                unusable[path] = reason
            advance(1)
    if len(unusable) == len(panoramas):
        path, reason = next(iter(unusable.items()), ("the table", "is empty"))
        raise PlacesError(
            f"no panorama of {len(panoramas)} can be used ({path}: {reason}). A panorama needs a heading and a depth "
            "file: 16-bit PNG, centimetres along the ray; a monocular model can supply missing depth "
            "(netvlad.panoramas.synthesis.depth.depth_from_views)"
        )
    return views, unusable


def _clear_view(path: str, heading: float) -> tuple[FloatArray | None, str]:
    """`clear_view` of a panorama, or None and the reason why there is none."""
    if np.isnan(heading):
        return None, "its heading is unknown"
    depth = depth_path(path)
    if not depth.exists():
        return None, f"no depth at {depth}"
    try:
        return clear_view(panorama_depth(path)), ""
    except NetvladError as e:
        return None, str(e)  # with the path of the depth


def _read_log(path: Path) -> dict[str, float]:
    """Read view -> share of holes; the last line may be incomplete."""
    known: dict[str, float] = {}
    if path.exists():
        for line in path.read_text("utf-8").splitlines()[1:]:
            view, comma, share = line.rpartition(",")
            if comma and len(share) == 6:
                known[view] = float(share)
    return known


def _open_log(path: Path) -> IO[str]:
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    log = open(path, "a", encoding="utf-8")  # noqa: SIM115 - the caller closes it
    log.write("view,holes\n" if not log.tell() else "\n" * torn)
    return log


def _done(out: Path, view: str, known: dict[str, float], settings: Settings) -> bool:
    return view in known and (known[view] > settings.max_holes or (out / view).exists())


def _finish(
    panoramas: Places,
    positions: list[VirtualPosition],
    names: dict[str, list[str]],
    holes: dict[str, float],
    made: int,
    unusable: dict[str, str],
    out: Path,
    settings: Settings,
) -> Synthesised:
    """Write the table of the views that are kept."""
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
