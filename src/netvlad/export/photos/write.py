"""Positions that were found, written into photos or beside them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from netvlad.errors import NetvladError, first_line
from netvlad.export.found.table import Answer
from netvlad.export.photos.fix import Fix, fix_of
from netvlad.export.photos.gps_block import with_gps
from netvlad.export.photos.journal import Journal
from netvlad.export.photos.jpeg import exif_block, head, with_exif_block
from netvlad.export.photos.xmp import sidecar
from netvlad.images.archives import split_archive
from netvlad.images.opening import check_regular
from netvlad.places.io.exif import read_exif
from netvlad.places.io.sidecars import sidecar_of


@dataclass
class Written:
    """files: those that were written, or would be. left: photo -> why nothing was written for it.

    failed: photo -> what went wrong.
    """

    files: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def write_sidecars(
    answers: Sequence[Answer], journal: Journal, *, searched: str = "", dry_run: bool = False
) -> Written:
    """Complete the sidecar of each photo of `answers` (`Location.to_dict`) that has a position, or write photo.jpg.xmp.

    A photo or a sidecar that states a position itself is left alone. searched: name of the map. dry_run: only find out.
    """
    return _each(answers, searched, partial(_write_sidecar, journal, dry_run))


def write_exif(answers: Sequence[Answer], journal: Journal, *, searched: str = "", dry_run: bool = False) -> Written:
    """Write the position into the EXIF block of each JPEG of `answers`, and keep what it was as photo.jpg_original.

    Only that block changes, and in it nothing that was there. A photo that states a position is left alone, as is one
    that is no JPEG or has no room. searched: name of the map. dry_run: only find out.
    """
    return _each(answers, searched, partial(_write_exif, journal, dry_run))


def _each(answers: Sequence[Answer], searched: str, write: Callable[[str, Fix], str | None]) -> Written:
    done = Written()
    for answer in answers:
        photo, fix = answer["photo"], fix_of(answer, searched)
        if "error" in answer:
            continue
        try:
            if fix is None:
                raise NetvladError("its answer has no latitude and longitude")
            if split_archive(photo):
                raise NetvladError("is in an archive, in which nothing is written: unpack it first")
            check_regular(photo)
            if np.isfinite(read_exif(photo).lat):
                raise NetvladError("states a position itself")
            file = write(photo, fix)
        except NetvladError as e:
            done.left[photo] = e.reason
        except OSError as e:
            done.failed[photo] = f"cannot be written ({e.strerror or first_line(e)})"
        else:
            if file is not None:
                done.files.append(file)
    return done


def _write_sidecar(journal: Journal, dry_run: bool, photo: str, fix: Fix) -> str | None:
    """The sidecar that was written, None where it said the same before."""
    file = Path(sidecar_of(photo) or f"{photo}.xmp")
    before = file.read_bytes() if file.exists() else None
    after = sidecar(fix, before)
    if after == before:
        return None
    if not dry_run:
        with journal.writing(file, read=before) as temporary:
            temporary.write_bytes(after)
    return str(file)


def _write_exif(journal: Journal, dry_run: bool, photo: str, fix: Fix) -> str:
    before = Path(photo).read_bytes()
    segments = head(before)
    after = with_exif_block(before, segments, with_gps(exif_block(segments), fix))
    if not dry_run:
        with journal.writing(photo, read=before, beside=True) as temporary:
            temporary.write_bytes(after)
            _check(temporary, fix)
    return os.fspath(photo)


def _check(file: Path, fix: Fix) -> None:
    """Raise NetvladError unless a photo reads back as `fix`."""
    shot = read_exif(str(file))
    if not (abs(shot.lat - fix.lat) < 1e-6 and abs(shot.lon - fix.lon) < 1e-6):
        raise NetvladError(f"would not read back as written ({shot.trouble or 'another position'}), and was left alone")
