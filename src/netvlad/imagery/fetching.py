"""Find the pictures of an area, and make a folder hold them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from netvlad.errors import NetvladError
from netvlad.imagery.area import Area
from netvlad.imagery.cache import Cache
from netvlad.imagery.fetched import file_of, read_fetched, write_fetched
from netvlad.imagery.picture import Picture
from netvlad.imagery.reader import Reader
from netvlad.imagery.thinning import METRES, thinned
from netvlad.imagery.web import AT_ONCE, Gone, Refused, Web
from netvlad.runtime.locks import only_writer
from netvlad.runtime.progress import progress

SAMPLE = 5  # pictures whose size is asked for
AT_A_TIME = 200  # pictures that are asked for before the table is written
USUAL = 500_000  # bytes, where a server states no size
SPARE = 200 << 20  # bytes of the disk that stay free


@dataclass(frozen=True)
class Found:
    """What an area holds, compared with a folder.

    pictures: those that the folder is to hold; new: those of them that it lacks. withdrawn: those that it holds and
    that the source has taken back, or shows elsewhere. size: bytes of the new ones, estimated from a few. left_out:
    reason -> number. thinned: number of pictures that show the same as others.
    """

    pictures: list[Picture]
    new: list[Picture]
    withdrawn: list[Picture]
    size: int
    left_out: Mapping[str, int]
    thinned: int


@dataclass
class Fetched:
    """What a fetch did: the `pictures` that the folder holds now, how many are `new`, and name -> why one `failed`."""

    pictures: list[Picture] = field(default_factory=list)
    new: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def find(source: Reader, area: Area, folder: Path, *, metres: float = METRES) -> Found:
    """Search an area. metres: of pictures that show the same within that distance, one is taken.

    A picture that the folder holds and the search did not name is withdrawn only where the source says so when asked
    for it, so that an answer that lacks something empties no map. Raises NetvladError.
    """
    found = list(source.search(area.boxes()))
    pictures = [found[row] for row in area.holds(found).nonzero()[0]]
    before = [p for p in read_fetched(folder) if file_of(folder, p).exists()]
    shown = {picture.name: picture for picture in pictures}
    unnamed = [p for p in before if p.name not in shown]
    there = source.still_there(unnamed) if unnamed else set()
    moved = {p.name for p in found} - set(shown)
    kept = [p for p in unnamed if p.id in there and p.name not in moved]
    held = {p.name for p in before} | {p.name for p in pictures if file_of(folder, p).exists()}
    every = [*pictures, *kept]
    chosen = [every[row] for row in thinned(every, held, metres)]
    names = {p.name for p in every}
    new = [p for p in chosen if not file_of(folder, p).exists()]
    return Found(
        pictures=chosen,
        new=new,
        withdrawn=[p for p in before if p.name not in names],
        size=_size(source.web, new),
        left_out=Counter(source.left_out),
        thinned=len(every) - len(chosen),
    )


def fetch(source: Reader, found: Found, folder: Path, *, cache: Cache | None = None) -> Fetched:
    """Make a folder hold the pictures that were found, with its table and CREDITS; what was withdrawn goes.

    cache: of files that other folders have fetched. A file is there whole or not at all, and one that is there is never
    fetched again, so an interrupted run goes on.
    Raises NetvladError where the disk has no room or the server fails for good.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if found.size + SPARE > free:
        sizes = f"about {found.size / 1e6:,.0f} MB are to be fetched, and {free / 1e6:,.0f} MB are free"
        raise NetvladError(f"{sizes}: choose a smaller area or another disk", path=folder)
    with only_writer(folder):
        for stale in (folder / "pictures").glob(".*.tmp"):  # of a run that was killed
            stale.unlink()
        for picture in found.withdrawn:
            file_of(folder, picture).unlink(missing_ok=True)
            if cache is not None:
                cache.forget(picture)
        return _fetch_all(source, found, folder, cache)


def _fetch_all(source: Reader, found: Found, folder: Path, cache: Cache | None) -> Fetched:
    done, written = Fetched(), 0
    write_fetched(folder, _there(found, folder))
    with ThreadPoolExecutor(AT_ONCE) as pool, progress("fetching", len(found.new), "pictures") as advance:
        try:
            for first in range(0, len(found.new), AT_A_TIME):
                some = found.new[first : first + AT_A_TIME]
                jobs = {pool.submit(_fetch_one, source, p, file_of(folder, p), cache): p for p in some}
                for job in as_completed(jobs):
                    _take(done, jobs[job].name, job)
                    advance(1)
                if done.new > 1.1 * written + AT_A_TIME:  # a table of all pictures each time, hence ever more rarely
                    written = done.new
                    write_fetched(folder, _there(found, folder))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            done.pictures = _there(found, folder)
            write_fetched(folder, done.pictures)
    return done


def _fetch_one(source: Reader, picture: Picture, file: Path, cache: Cache | None) -> None:
    """Fetch the file of a picture, at a fresh address where that of the search has expired."""

    def at(address: str) -> None:
        if cache is None:
            source.web.fetch(address, file)
        else:
            cache.fetch(source.web, address, picture, file)

    try:
        at(picture.address)
    except Refused:
        address = source.renewed(picture)
        if not address:
            raise
        at(address)


def _take(done: Fetched, name: str, job: Future[None]) -> None:
    """Count a picture. Raises NetvladError where nothing works."""
    try:
        job.result()
        done.new += 1
    except NetvladError as e:
        done.failed[name] = e.reason
        if len(done.failed) > 10 and not done.new and not isinstance(e, Gone):  # gone: withdrawn since the search
            raise


def _there(found: Found, folder: Path) -> list[Picture]:
    return [picture for picture in found.pictures if file_of(folder, picture).exists()]


def _size(web: Web, pictures: Sequence[Picture]) -> int:
    """Bytes of pictures: as the source states them, or as many as those of a few on average."""
    if not pictures or all(picture.size for picture in pictures):
        return sum(picture.size for picture in pictures)
    step = max(1, len(pictures) // SAMPLE)
    sizes = [size for size in (web.size(p.address) for p in pictures[::step][:SAMPLE]) if size]
    return len(pictures) * (sum(sizes) // len(sizes) if sizes else USUAL)
