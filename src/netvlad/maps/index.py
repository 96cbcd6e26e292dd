"""An index of places: photos with known positions, described, kept on disk, and asked where another was taken."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar

from netvlad.describe.stream import Describing, describe_all
from netvlad.maps import changing
from netvlad.maps.adding import Added
from netvlad.maps.confidence import Calibration
from netvlad.maps.creating import check_new, fit_and_write, write_new
from netvlad.maps.location import Located, Location
from netvlad.maps.manifest import read_manifest
from netvlad.maps.opening import check_askable, check_changeable, check_model, check_process, open_model
from netvlad.maps.pieces import Told, preview_pieces
from netvlad.maps.remote import fetch
from netvlad.maps.sharded import open_snapshot
from netvlad.maps.snapshot import Snapshot
from netvlad.maps.store import Store
from netvlad.maps.sync import Synced, merged
from netvlad.maps.track import Tracker
from netvlad.maps.versions import Version, list_versions
from netvlad.maps.where import ALL, Where
from netvlad.places import Places
from netvlad.places.io.parts import Parts
from netvlad.runtime.addresses import absolute, is_address
from netvlad.runtime.locks import only_writer
from netvlad.search.flat_index import rank_vectors
from netvlad.search.options import SearchOptions
from netvlad.types import Describer, ImageLike, Ranking, Saveable, needs_fit

RADIUS = 25.0
SAMPLE = 10_000  # photos of a table in parts that the model of a new index is fitted on: no fit draws more
AnyPath: TypeAlias = "str | os.PathLike[str]"
T = TypeVar("T")


class PlaceIndex:
    """A folder, or an address (s3://...): places.lance (places and vectors), search.faiss, model/ and other files.

    `create` makes one, `add` appends photos, `sync` follows them, `locate` finds another's place. A Ranker of its rows.
    """

    def __init__(
        self, folder: Path, model: Describer | None, radius: float, root: AnyPath | None, *, trust_code: bool = False
    ) -> None:
        self.folder, self.radius = folder, radius
        self.root = None if root is None else absolute(root)
        self.trust_code = trust_code
        self._model, self._process = model, os.getpid()
        self._unwritten: Saveable | None = None  # the model of an index that waits for its first places
        self.search: SearchOptions | None = None  # what the next change makes of its search, None to leave it

    @classmethod
    def create(
        cls, folder: AnyPath, model: Describer, *, radius: float = RADIUS, root: AnyPath | None = None
    ) -> PlaceIndex:
        """Make an index of vectors by `model`. radius: metres up to which an answer counts as correct.

        root: the folder that paths are stored relative to; by default the deepest that holds the first photos.
        A model whose cluster centres are missing is fitted on the first places added, and nothing is written before.
        Raises PlaceIndexError where the folder holds an index or anything else, and for a model that cannot be saved.
        """
        folder = fetch(folder)
        saveable = check_new(folder, model, radius)
        index = cls(folder, model, radius, root)
        if needs_fit(model):
            index._unwritten = saveable
        else:
            with only_writer(folder):
                write_new(folder, saveable, radius)
        return index

    @classmethod
    def open(
        cls, folder: AnyPath, model: Describer | None = None, *, root: AnyPath | None = None, trust_code: bool = False
    ) -> PlaceIndex:
        """Open an index. model: refused unless it is the one that the index was built with (default: the index's own).

        root: the folder of its photos, where they have moved without the index; the next change records it.
        trust_code: whether the index's own model may run code of the repository that it names (models of torch.hub).
        Raises PlaceIndexError where there is no index, or one of another format or model.
        """
        manifest = read_manifest(folder := fetch(folder))
        if model is not None:
            check_model(folder, manifest, model)
        return cls(folder, model, manifest.radius, root, trust_code=trust_code)

    @property
    def model(self) -> Describer:
        """The describer that the index was built with. Raises PlaceIndexError where model/ holds another."""
        if self._model is None:
            self._model = open_model(self.folder, read_manifest(self.folder), trust_code=self.trust_code)
        return self._model

    @property
    def name(self) -> str:
        """Name of its describer."""
        return self.model.name

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.model.dim

    @cached_property
    def _snapshot(self) -> Snapshot:
        return open_snapshot(self.folder, self.root)

    @property
    def store(self) -> Store:
        """The table of places and vectors."""
        return self._snapshot.store

    def __len__(self) -> int:
        return len(self.store) if (self.folder / "manifest.json").exists() else 0

    @property
    def places(self) -> Places:
        """All places, in the order of the ids that `rank` gives."""
        return self.store.places()

    def add(self, places: Places, *, workers: int | None = None) -> Added:
        """Describe and append `places`, skipping photos whose content is in; what is in keeps its place.

        Batches are on the disk every few seconds: after Ctrl-C or a kill the same call goes on where it stopped. A
        photo whose content changed replaces its row. Unreadable ones are left out and reported. Raises PlaceIndexError
        if another process is changing the index, and where positions are geodetic there and planar here.
        """
        return self._change(lambda now: changing.add_places(now, self.model, places, workers=workers), places, workers)

    def sync(
        self,
        places: Places,
        *,
        source: AnyPath = "",
        keep_missing: bool = False,
        dry_run: bool = False,
        workers: int | None = None,
        describing: Describing | None = None,
    ) -> Synced:
        """Make the index agree with `places`: as `add`, and known photos get the paths, positions, headings, times and
        labels that they have now, and rows whose photos are not among them, or have no file, go.

        Photos are told by their content, and nothing whose content is known is described again. Of several photos of
        one content the first is in. source: the folder or table that the places came from; only rows from there go (by
        default rows from anywhere). keep_missing: no rows go for want of a photo. dry_run: only find out. describing:
        what describes in the place of this machine (`netvlad.cluster`). A kill leaves a state from which the same call
        goes on. Raises PlaceIndexError as `add`, and rather than empty the index.
        """
        origin = absolute(source) if os.fspath(source) else ""
        if dry_run:
            check_changeable(self.folder, self._process)
            written = (self.folder / "manifest.json").exists()
            return changing.preview(self._snapshot, places, origin) if written else Synced(new=places.path.tolist())

        far = len(places) > 0 and is_address(places.path[0])
        if far or describing is not None:  # each photo is to be read once: none is compared before
            found: list[Synced] = []
            self._follow([places], places, origin, keep_missing, workers, describing, found.append)
            return merged(found)

        def change(now: Snapshot) -> tuple[Synced, Snapshot]:
            return changing.sync_places(now, self.model, places, origin, keep_missing, workers)

        return self._change(change, places, workers)

    def sync_parts(
        self,
        parts: Parts,
        *,
        keep_missing: bool = False,
        dry_run: bool = False,
        workers: int | None = None,
        describing: Describing | None = None,
        told: Told = lambda found: None,
    ) -> None:
        """As `sync` with all rows of `parts`, of which only a piece is in memory, and of the index its rows.

        told: given what was done with each piece, and in the end what was done with photos that have moved between
        pieces and with those that are in none. A dry run tells of photos that have moved as new ones, and of their rows
        as vanished. Raises PlaceIndexError as `sync`, PlacesError for a part that cannot be read; pieces before are in.
        """
        if not dry_run:
            first = None if len(self) else parts.sample(SAMPLE)
            self._follow(parts, first, parts.folder, keep_missing, workers, describing, told)
            return
        check_changeable(self.folder, self._process)
        if (self.folder / "manifest.json").exists():
            preview_pieces(self._snapshot.store, parts, parts.folder, told)
        else:
            for piece in parts:
                told(Synced(new=piece.path.tolist()))

    def _follow(
        self,
        pieces: Iterable[Places],
        first: Places | None,
        source: str,
        keep_missing: bool,
        workers: int | None,
        describing: Describing | None,
        told: Told,
    ) -> None:
        """See `sync_parts`. first: places that a new index is made for."""

        def change(now: Snapshot) -> tuple[None, Snapshot]:
            return changing.sync_pieces(now, self.model, pieces, source, keep_missing, workers, describing, told)

        self._change(change, first, workers)

    def update(self, places: Places) -> Synced:
        """Give photos of the index, known by their paths, the positions, headings, times and labels of `places`.

        No photo is read. `new` of the result lists paths that the index does not hold. Raises as `add`.
        """
        return self._change(lambda now: changing.update_places(now, places))

    def remove(self, photos: Sequence[AnyPath] | Where) -> int:
        """Remove photos, by their paths or where they are; returns how many there were. Raises as `add`."""
        chosen = photos if isinstance(photos, Where) else [absolute(path) for path in photos]
        return self._change(lambda now: changing.remove_photos(now, chosen))

    def versions(self) -> list[Version]:
        """Versions of the table that `restore` can bring back, oldest first."""
        check_changeable(self.folder, self._process)
        return list_versions(self.store.folder)

    def restore(self, version: int) -> int:
        """Bring back the photos and places of a version, and return how many; PlaceIndexError where there is none."""
        return self._change(lambda now: changing.restore_version(now, version))

    def _change(
        self, change: Callable[[Snapshot], tuple[T, Snapshot]], places: Places | None = None, workers: int | None = None
    ) -> T:
        """Change the newest version while the lock is held. places: those that a new index is made for."""
        check_changeable(self.folder, self._process)
        with only_writer(self.folder):
            if self._unwritten is not None and places is not None:
                fit_and_write(self.folder, self._unwritten, self.radius, places, workers)
                self._unwritten = None
            now = changing.prepared(self.folder, self.radius, self.root, places, self.search)  # the newest
            self.__dict__.pop("_snapshot", None)  # if this ends early, what the table holds then is opened anew
            result, self._snapshot = change(now)
        return result

    @property
    def calibration(self) -> Calibration | None:
        """How confidence is computed; None where it cannot be, for the reason in `uncalibrated`."""
        return self._snapshot.calibrated[0]

    @property
    def uncalibrated(self) -> str:
        """Why there is no calibration; empty where there is one."""
        return self._snapshot.calibrated[1]

    def locate(self, photo: ImageLike, top: int = 5, *, where: Where = ALL, use_gps: bool = False) -> Location:
        """Locate `photo`, whatever `netvlad.read_image` takes. Raises ImageError, PlaceIndexError.

        where: the photos of the index that may be found, and whose confidence the answer has. use_gps: whether only
        those count that lie within `GPS_RADIUS` of the position that the photo itself states, if it is a file that
        states one and there are any.
        """
        self._check_askable(top)
        vector = self.model.describe([photo])
        name = os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else ""
        return self._snapshot.located([name], vector, top, where, use_gps=use_gps)[0]

    def locate_all(
        self,
        photos: Sequence[str],
        top: int = 5,
        *,
        where: Where = ALL,
        use_gps: bool = False,
        workers: int | None = None,
    ) -> Located:
        """Locate each of `photos` (paths) that can be read, as `locate` does. Raises PlaceIndexError."""
        self._check_askable(top)
        vectors, bad = describe_all(self.model, photos, what="locating", workers=workers)
        good = [i for i in range(len(photos)) if i not in bad]
        locations = self._snapshot.located([photos[i] for i in good], vectors[good], top, where, use_gps=use_gps)
        return Located(locations, {photos[i]: reason for i, reason in bad.items()})

    def rank(self, photos: Sequence[str], k: int, *, workers: int | None = None) -> Ranking:
        """Rank the rows of the index for each of `photos`; none for a photo that cannot be read."""
        check_process(self.folder, self._process)
        vectors, bad = describe_all(self.model, photos, what="describing queries", workers=workers)
        ids, scores = rank_vectors(self._snapshot.search, vectors, list(bad), k, len(self))
        return Ranking(ids, scores, unreadable={photos[i]: reason for i, reason in bad.items()})

    def track(self, length: int | None = None, lag: int = 5) -> Tracker:
        """What frames of a video are given to in order of time, as `Tracker`. Raises PlaceIndexError."""
        self._check_askable(1)
        return Tracker(self.model, self._snapshot, length, lag)

    def _check_askable(self, top: int) -> None:
        check_process(self.folder, self._process)
        check_askable(self.folder, len(self), top)
