"""Write cut-outs of panoramas as photos and a table of their places."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from netvlad.errors import ImageError, PlacesError
from netvlad.panoramas.camera import Camera
from netvlad.panoramas.panorama import cut_outs, read_panorama
from netvlad.panoramas.pose import LEVEL, Pose
from netvlad.places.io.writers import write_places
from netvlad.places.table import Places, Skipped
from netvlad.places.values import some, texts
from netvlad.runtime.files import atomic, write_json
from netvlad.runtime.progress import progress
from netvlad.runtime.workers import default_workers, in_chunks
from netvlad.types import Array

QUALITY = 92  # of JPEG: about 100 kB at 640x480
SHOWN = 0.5  # of a view
FEW = 4  # panoramas; cutting these takes less time than starting workers


@dataclass(frozen=True)
class Layout:
    """The cut-outs of a panorama: every heading, in degrees from the panorama's middle, at every pitch."""

    headings: tuple[float, ...]
    pitches: tuple[float, ...]
    fov: float = 60.0
    width: int = 640
    height: int = 480

    def cameras(self) -> list[Camera]:
        """The camera of each cut-out, for a panorama of heading 0."""
        return [
            Camera(heading, pitch, fov=self.fov, width=self.width, height=self.height)
            for pitch in self.pitches
            for heading in self.headings
        ]

    def sized(self, width: int | None = None, height: int | None = None, fov: float | None = None) -> Layout:
        """The same views in another size; width or height alone keeps the proportions."""
        if width and not height:
            height = max(1, round(width * self.height / self.width))
        if height and not width:
            width = max(1, round(height * self.width / self.height))
        return replace(self, width=width or self.width, height=height or self.height, fov=fov or self.fov)


ALL_ROUND = tuple(float(heading) for heading in range(0, 360, 30))
LAYOUTS = {
    "pittsburgh": Layout(ALL_ROUND, (4.0, 26.5)),  # of Pittsburgh 250k
    "tokyo": Layout(ALL_ROUND, (12.0,), width=1280, height=960),  # of Tokyo 24/7
}


@dataclass(frozen=True)
class _Job:
    """The cut-outs to make of one panorama: (file without its suffix, camera) each."""

    photo: str
    wanted: list[tuple[str, Camera]]
    pose: Pose = LEVEL


def write_cut_outs(
    panoramas: Places,
    out: str | os.PathLike[str],
    layout: Layout | str = "pittsburgh",
    *,
    poses: Sequence[Pose] | None = None,
    workers: int | None = None,
) -> Places:
    """Cut every panorama of a table by a layout into out/photos/, and write the table out/places.parquet.

    A cut-out is called NAME_h030_p04.jpg after its panorama, heading from the panorama's middle, and pitch; with
    undefined pixels it is a .webp with alpha. Its row has the position, time, split and name of the panorama (the name
    of the file if it has none) and its own heading from north, unknown if the panorama's is.
    Cut-outs that are not older than their panorama are kept, so an interrupted run goes on. A panorama that cannot be
    read, is not twice as wide as high, or occurs twice is left out and listed in `skipped` of the table.
    poses: how each panorama was held and what its file shows, level and whole by default; views of which less than
    `SHOWN` is in the file are left out.
    workers: number of processes; 0 cuts in this one; one per core but at most 4 by default.
    Raises PlacesError for an unknown layout, a folder that holds something else, and if nothing could be cut.
    """
    layout, folder = find_layout(layout), Path(os.path.abspath(out))
    _claim(folder, layout)
    skipped = dict.fromkeys(_again(panoramas.path), "is in the table twice")
    rows = [row for row in range(len(panoramas)) if row not in skipped]
    names, poses = _names(panoramas, rows), poses or [LEVEL] * len(panoramas)
    views = {row: _views(str(folder / "photos" / names[row]), layout.cameras(), poses[row]) for row in rows}
    jobs = {}
    for row in rows:
        if not views[row]:
            skipped[row] = "shows less than half of each view"
        photo = panoramas.path[row]
        if wanted := [(stem, camera) for stem, camera in views[row] if not _made(stem, photo)]:
            jobs[row] = _Job(photo, wanted, poses[row])
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    with progress("cutting panoramas", sum(len(job.wanted) for job in jobs.values()), "cut-outs") as advance:
        for (row, job), reason in zip(jobs.items(), _cut_all(list(jobs.values()), workers), strict=True):
            if reason:
                skipped[row] = reason
            advance(len(job.wanted))
    reasons = [Skipped(panoramas.path[row], 0, skipped[row]) for row in sorted(skipped)]
    kept = [row for row in rows if row not in skipped]
    if not kept:
        why = f": {some([str(s) for s in reasons])}" if reasons else ""
        raise PlacesError(f"none of {len(panoramas)} panoramas could be cut{why}")
    table = _table(panoramas, kept, views, names)
    write_places(table, folder / "places.parquet")
    return replace(table, skipped=tuple(reasons))


def find_layout(layout: Layout | str) -> Layout:
    """A layout by its name. Raises PlacesError for an unknown name."""
    if isinstance(layout, str) and layout not in LAYOUTS:
        raise PlacesError(f"no layout is called {layout!r}; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[layout] if isinstance(layout, str) else layout


def _claim(out: Path, layout: Layout) -> None:
    """Record the layout in the folder; refuse a folder with cut-outs of another one."""
    mine = json.loads(json.dumps(asdict(layout)))
    mark = out / "layout.json"
    if mark.exists():
        try:
            there = json.loads(mark.read_text("utf-8"))
        except (ValueError, RecursionError):
            there = None
        if there != mine:
            raise PlacesError(
                f"holds cut-outs of another layout (see its {mark.name}): choose another folder", path=out
            )
    elif (out / "places.parquet").exists():
        raise PlacesError("holds places.parquet, which is no table of cut-outs: choose another folder", path=out)
    else:
        write_json(mark, mine)


def _again(paths: Iterable[str]) -> list[int]:
    """Rows of paths that occurred before."""
    first: dict[str, int] = {}
    return [row for row, path in enumerate(paths) if first.setdefault(path, row) != row]


def _names(panoramas: Places, rows: list[int]) -> dict[int, str]:
    """A file name for each panorama; equal names get a digest of the path, whatever their order."""
    plain = {}
    for row in rows:
        name = panoramas.panorama[row] or Path(panoramas.path[row]).stem
        plain[row] = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", name).lstrip(".")[:150] or "_"
    count = Counter(name.lower() for name in plain.values())  # some file systems ignore case
    for row, name in plain.items():
        if count[name.lower()] > 1:
            path = os.fsencode(panoramas.path[row])
            plain[row] = f"{name}-{hashlib.blake2b(path, digest_size=6).hexdigest()}"
    return plain


def _views(stem: str, cameras: list[Camera], pose: Pose) -> list[tuple[str, Camera]]:
    """The file, without its suffix, and the camera of each view that a panorama shows."""
    seen = [camera for camera in cameras if pose.share(camera) >= SHOWN]
    return [(f"{stem}_h{camera.heading:03g}_p{camera.pitch:02g}", camera) for camera in seen]


def _file(stem: str) -> str | None:
    """The file of a cut-out, None if there is none."""
    return next((stem + suffix for suffix in (".jpg", ".webp") if os.path.exists(stem + suffix)), None)


def _made(stem: str, photo: str) -> bool:
    """Whether a cut-out exists and is not older than its panorama, if that still exists."""
    file = _file(stem)
    if file is None or not os.path.exists(photo):
        return file is not None
    return os.path.getmtime(file) >= os.path.getmtime(photo)


def _table(
    panoramas: Places, kept: list[int], views: dict[int, list[tuple[str, Camera]]], names: dict[int, str]
) -> Places:
    rows = [row for row in kept for _ in views[row]]
    table = panoramas[rows]
    own = np.array([camera.heading for row in kept for _, camera in views[row]])
    heading = ((table.heading.astype(np.float64) + own) % 360).astype(np.float32)
    return replace(
        table,
        path=texts([_file(stem) for row in kept for stem, _ in views[row]]),
        heading=np.where(heading == 360, np.float32(0), heading),
        panorama=texts([panoramas.panorama[row] or names[row] for row in rows]),
    )


def _cut_all(jobs: list[_Job], workers: int | None) -> Iterator[str]:
    """Yield for each job why nothing could be cut, "" if it could."""
    workers = default_workers(len(jobs), workers, FEW)
    for reasons in in_chunks(_cut, [[job] for job in jobs], workers, lambda job: "the decoder crashed on it"):
        yield from reasons


def _cut(job: _Job) -> str:
    from PIL import Image

    try:
        panorama = _whole(job.photo, job.pose)
    except (ImageError, PlacesError) as e:
        return e.reason
    except MemoryError:
        return "not enough memory to decode it"
    cameras = [job.pose.seen(camera) for _, camera in job.wanted]
    for (stem, _), image in zip(job.wanted, cut_outs(panorama, cameras), strict=True):
        holes = image.shape[2] == 4 and image[..., 3].min() < 255
        other, suffix = (".jpg", ".webp") if holes else (".webp", ".jpg")
        photo = Image.fromarray(image if holes else image[..., :3])
        with atomic(stem + suffix) as temporary:
            photo.save(temporary, "WEBP" if holes else "JPEG", quality=QUALITY)
        Path(stem + other).unlink(missing_ok=True)  # of an older panorama
    return ""


def _whole(photo: str, pose: Pose) -> Array:
    """The panorama of a photo, undefined beyond its margins. Raises ImageError and PlacesError."""
    if not any(pose.margins):
        return read_panorama(photo)
    from netvlad.images.read import read_image

    return pose.completed(read_image(photo, alpha=True))
