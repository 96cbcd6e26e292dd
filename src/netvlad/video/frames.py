"""Frames in order of time, whatever they come as."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netvlad.errors import ImageError, NetvladError, first_line
from netvlad.images import read_image
from netvlad.images.read import PHOTO_SUFFIXES
from netvlad.types import Array
from netvlad.video.decoding import SUFFIXES, decoded

RATE = 10.0  # frames a second of a folder of frames that states no times; that of KITTI
KITTI_IMAGES = ("image_2", "image_0", "image_02/data", "image_00/data")


@dataclass(frozen=True, eq=False)
class Frame:
    """t: seconds. image: (H, W, 3) uint8 RGB. name: its file, or the video and the time in it."""

    t: float
    image: Array
    name: str


def read_frames(
    source: str | os.PathLike[str],
    *,
    every: float | None = None,
    rate: float | None = None,
    lost: dict[str, str] | None = None,
) -> Iterator[Frame]:
    """Yield the frames of `source` in order of time, reading each when it is asked for.

    source: a video; a list of images with times (lines "time path", as in TUM's rgb.txt, or a table with the columns
    path and t); a folder in the layout of TUM (rgb.txt) or KITTI (image_2 or image_0 beside times.txt); or any folder
    of photos, in the order of their names, `rate` a second (default: 10). every: least seconds between frames.
    Frames that cannot be read are left out; `lost` receives the reasons. Raises NetvladError where there is nothing to
    read at all.
    """
    source = Path(source)
    if every is not None and not every > 0:
        raise NetvladError(f"frames are more than 0 seconds apart, got {every:g}")
    if rate is not None and not rate > 0:
        raise NetvladError(f"a rate is more than 0 frames a second, got {rate:g}")
    entries = listed(source, rate)
    if entries is not None:
        return _read(entries, every, lost, source)
    return (Frame(t, image, f"{source.name}@{t:.3f}") for t, image in decoded(source, every, lost))


def listed(source: Path, rate: float | None) -> list[tuple[float, Path]] | None:
    """Times and files of a folder or list, in order of time; None for a video. Raises NetvladError."""
    if source.is_dir():
        return _in_folder(source, rate)
    if not source.exists():
        raise NetvladError("there is no such video, list or folder", path=source)
    if source.suffix.lower() in (".txt", ".csv"):
        return read_list(source)
    if source.suffix.lower() in PHOTO_SUFFIXES:
        raise NetvladError("is one photo; a video, a folder or a list of frames is wanted", path=source)
    return None


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file is named as a video."""
    return Path(path).suffix.lower() in SUFFIXES


def read_list(file: Path) -> list[tuple[float, Path]]:
    """Times and files of a list, in order of time. Raises NetvladError with the line that cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise NetvladError(f"cannot be read as a list of frames ({first_line(e)})", path=file) from e
    if lines and "," in lines[0] and not lines[0].startswith("#"):
        return _sorted(_table(lines, file), file)
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            found.append(_entry(*line.strip().partition(" ")[::2], number, file))
    return _sorted(found, file)


def _table(lines: list[str], file: Path) -> list[tuple[float, Path]]:
    rows = csv.DictReader(lines)
    names = rows.fieldnames or []
    if "path" not in names or "t" not in names:
        raise NetvladError(f"has the columns {', '.join(names)}, where path and t (seconds) are wanted", path=file)
    return [_entry(row["t"] or "", row["path"] or "", number, file) for number, row in enumerate(rows, 2)]


def _entry(time: str, name: str, number: int, file: Path) -> tuple[float, Path]:
    try:
        t = float(time)
    except ValueError:
        t = float("nan")
    if not np.isfinite(t) or not name.strip():
        raise NetvladError(f"line {number} is no time in seconds and path: {f'{time} {name}'[:80]!r}", path=file)
    return t, file.parent / name.strip()


def _sorted(found: list[tuple[float, Path]], file: Path) -> list[tuple[float, Path]]:
    if not found:
        raise NetvladError("lists no frame", path=file)
    return sorted(found, key=lambda entry: entry[0])


def _in_folder(folder: Path, rate: float | None) -> list[tuple[float, Path]]:
    if (folder / "rgb.txt").is_file():
        return read_list(folder / "rgb.txt")
    inner = next((folder / name for name in KITTI_IMAGES if (folder / name).is_dir()), folder)
    photos = sorted((p for p in inner.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES), key=_natural)
    if not photos:
        raise NetvladError("holds no frames: no rgb.txt, no image_2 or image_0, and no photos", path=folder)
    times = folder / "times.txt"
    if rate is None and times.is_file():
        try:
            seconds = np.atleast_1d(np.loadtxt(times, dtype=np.float64))
        except ValueError as e:
            raise NetvladError(f"is no list of seconds, one a line ({first_line(e)})", path=times) from e
        if len(seconds) != len(photos):
            raise NetvladError(f"lists {len(seconds)} times for {len(photos)} frames", path=times)
        return list(zip(seconds.tolist(), photos, strict=True))
    return [(i / (rate or RATE), photo) for i, photo in enumerate(photos)]


def _natural(path: Path) -> tuple[int, str, str]:
    """Frame 10 comes after frame 9."""
    stem = path.stem
    head = stem.rstrip("0123456789")
    digits = stem[len(head) :]
    return (0, head, digits.zfill(20)) if digits else (1, stem, "")


def _read(
    entries: list[tuple[float, Path]], every: float | None, lost: dict[str, str] | None, source: Path
) -> Iterator[Frame]:
    due, some = -np.inf, False
    for t, path in entries:
        if t < due - 1e-6:
            continue
        try:
            image = read_image(path)
        except ImageError as e:
            if lost is not None:
                lost[str(path)] = e.reason
            continue
        due, some = t + (every or 0.0), True
        yield Frame(t, image, str(path))
    if not some:
        raise ImageError("none of its frames can be read", path=source)
