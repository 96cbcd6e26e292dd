"""Damaged photos: each is either described or named with a reason, and its neighbours are untouched.

A silent difference is: pixels other than the original's of a file that was only cut off; two readings of the same
bytes that differ; a neighbour's pixels or position that change; a photo that is neither among the places nor told of.
A flipped bit in the pixels may decode to other pixels.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from netvlad.errors import PlacesError
from netvlad.images.decode import Decoded, decode_photos
from netvlad.images.read import MAX_PIXELS, decode_image
from netvlad.places import read_places
from soak.image_damage import damage_image
from soak.image_seeds import write_seeds
from soak.mutate import Rng, pick
from soak.special import make_special
from soak.tries import Area, Done, Fault, check_message, forked

GOOD = ("good0.jpg", "good1.jpg")
SPECIAL = 0.03  # share of what is no regular file


def prepare(base: Path) -> None:
    write_seeds(base / "images")


@lru_cache(maxsize=1)
def seeds(base: Path) -> dict[str, bytes]:
    """Name -> content of the undamaged photos."""
    return {path.name: path.read_bytes() for path in sorted((base / "images").iterdir())}


@lru_cache(maxsize=64)
def _pixels(base: Path, name: str) -> np.ndarray:
    return decode_image(seeds(base)[name], name)


def attempt(base: Path, here: Path, rng: Rng) -> Done:
    for name in GOOD:
        (here / name).write_bytes(seeds(base)[name])
    suffix = pick(rng, (".jpg", ".png", ".webp", ".tif", ".gif", ".bmp", ".avif", ".heic", ".JPEG"))
    bad = here / f"h{suffix}"
    if rng.random() < SPECIAL:
        kind = make_special(bad, seeds(base)["good0.jpg"], rng)
        if kind == "no permission" and os.geteuid() == 0:
            return _as_nobody(base, here, bad)
        return _judge(base, here, bad, None)
    name, data, cut = damage_image(seeds(base), rng)
    bad.write_bytes(data)
    return _judge(base, here, bad, name if cut else None)


def _as_nobody(base: Path, here: Path, bad: Path) -> Done:
    """Judged by a process that may not read everything, as root may."""

    def judge() -> Done:
        os.setegid(65534)
        os.seteuid(65534)
        readable = os.access(here / GOOD[0], os.R_OK, effective_ids=True)
        return _judge(base, here, bad, None) if readable else Done("skipped")

    ended = forked(judge, here)
    if not isinstance(ended.value, Done):
        raise Fault("traceback", ended.err)
    return ended.value


def _judge(base: Path, here: Path, bad: Path, cut: str | None) -> Done:
    """cut: the photo that `bad` is a part of, if it is."""
    paths = [str(here / GOOD[0]), str(bad), str(here / GOOD[1])]
    first, found, last = _decoded(paths)
    for name, photo in zip(GOOD, (first, last), strict=True):
        if photo.image is None or not np.array_equal(photo.image, _pixels(base, name)):
            raise Fault("silent difference", f"the neighbour {name} of a bad photo: {photo.reason or 'other pixels'}")
    _check_photo(found, base, cut)
    again = _decoded(paths[1:2])[0]
    if again.reason != found.reason or not np.array_equal(again.image, found.image):
        raise Fault("silent difference", f"read twice, it differs: {found.reason!r}, {again.reason!r}")
    _check_places(paths)
    return Done("described" if found.image is not None else "named")


def _decoded(paths: list[str]) -> list[Decoded]:
    return [photo for chunk in decode_photos(paths, workers=0) for photo in chunk]


def _check_photo(photo: Decoded, base: Path, cut: str | None) -> None:
    if photo.image is None:
        check_message(photo.reason)
        return
    image = photo.image
    if photo.reason or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise Fault("silent difference", f"no photo: {image.shape} {image.dtype}, reason {photo.reason!r}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise Fault("memory", f"{image.shape} is above the limit of pixels")
    if cut is not None and not np.array_equal(image, _pixels(base, cut)):
        raise Fault("silent difference", f"a part of {cut} was taken for a whole photo")


def _check_places(paths: list[str]) -> None:
    """Each photo is a place, or told of with a reason; the good ones are where they say."""
    try:
        places = read_places(paths)
    except PlacesError as e:
        raise Fault("silent difference", f"two good photos have no place beside a bad one: {e}") from e
    at = dict(zip(places.path, zip(places.lat, places.lon, strict=True), strict=True))
    told = {skipped.source: skipped.reason for skipped in places.skipped}
    if sorted([*at, *told]) != sorted(paths):
        raise Fault("silent difference", f"of {paths} there are places {list(at)} and reasons {list(told)}")
    for reason in told.values():
        check_message(reason)
    for path, lat in ((paths[0], 31.25), (paths[2], 31.5)):
        if path not in at or abs(at[path][0] - lat) > 1e-6:
            raise Fault("silent difference", f"{path} is at {at.get(path)}, not at {lat}")


AREA = Area("images", 0.18, prepare, attempt, 60)
