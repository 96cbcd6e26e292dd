"""An index of places: photos with known positions, described, kept on disk, and asked where another was taken."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from netvlad.errors import PlaceIndexError
from netvlad.maps.adding import Added, append
from netvlad.maps.calibration_file import kept_calibration
from netvlad.maps.confidence import DEEP, Calibration
from netvlad.maps.location import Located, Location, locate
from netvlad.maps.manifest import new_manifest, read_manifest, write_manifest
from netvlad.maps.opening import open_model, open_store
from netvlad.maps.store import Store
from netvlad.places import Places
from netvlad.runtime.locks import only_writer
from netvlad.search.flat_index import FlatIndex, rank_vectors
from netvlad.types import Describer, FloatArray, ImageLike, Ranking, Saveable, needs_fit

RADIUS = 25.0


class PlaceIndex:
    """A folder: places.lance (places and vectors), search.faiss, calibration.json, model/ and manifest.json.

    `create` makes one, `open` opens it, `add` appends photos and `locate` finds the place of another. It is a Ranker
    over its own rows.
    """

    def __init__(
        self, folder: Path, model: Describer | None = None, radius: float = RADIUS, *, trust_code: bool = False
    ) -> None:
        self.folder = folder
        self.radius = radius
        self.trust_code = trust_code
        self._model = model
        self._process = os.getpid()
        self._unwritten: Saveable | None = None  # the model of an index that waits for its first places

    # -- making and opening -------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: str | os.PathLike[str], model: Describer, *, radius: float = RADIUS) -> PlaceIndex:
        """Make an index of vectors by `model`. radius: metres up to which an answer counts as correct.

        A model whose cluster centres are missing is fitted on the first places added, and nothing is written before.
        Raises PlaceIndexError where the folder holds an index or anything else, and for a model that cannot be saved.
        """
        folder = Path(folder)
        if (folder / "manifest.json").exists():
            raise PlaceIndexError("is an index already: open it and add to it, or choose another folder", path=folder)
        if folder.exists() and not (folder.is_dir() and _only_ours(folder)):
            raise PlaceIndexError("is there already and is not an index; choose another folder", path=folder)
        if not radius > 0:
            raise PlaceIndexError(f"a radius must be more than 0 metres, got {radius}")
        if not isinstance(model, Saveable):
            raise PlaceIndexError(
                f"{model.name} cannot be saved (netvlad.types.Saveable), and an index keeps its model"
            )
        index = cls(folder, model, radius)
        if needs_fit(model):
            index._unwritten = model
        else:
            with only_writer(folder):
                index._write_first(model)
        return index

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], model: Describer | None = None, *, trust_code: bool = False
    ) -> PlaceIndex:
        """Open an index. model: refused unless it is the one that the index was built with (default: the index's own).

        trust_code: whether the index's own model may run code of the repository that it names (models of torch.hub).
        Raises PlaceIndexError where there is no index, or one of another format or model.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if model is not None and model.identity != manifest.identity:
            raise PlaceIndexError(
                f"was built with {manifest.model} ({manifest.identity[:12]}); {model.name} "
                f"({model.identity[:12]}) makes other vectors. Ask it with its own model, which is in "
                f"{folder / 'model'}, or build another index",
                path=folder,
            )
        return cls(folder, model, manifest.radius, trust_code=trust_code)

    def _write_first(self, model: Saveable) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        model.save(self.folder / "model")
        manifest = new_manifest(model, self.radius)
        Store.create(self.folder / "places.lance", model.dim, manifest.map_id)
        write_manifest(self.folder, manifest)

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
    def store(self) -> Store:
        """The table of places and vectors."""
        return open_store(self.folder, read_manifest(self.folder))

    @cached_property
    def _flat_index(self) -> FlatIndex:
        return FlatIndex(self.store, self.folder / "search.faiss")

    def __len__(self) -> int:
        return len(self.store) if (self.folder / "manifest.json").exists() else 0

    @property
    def places(self) -> Places:
        """All places, in the order of the ids that `rank` gives."""
        return self.store.places()

    # -- adding -------------------------------------------------------------------------------------------------

    def add(self, places: Places, *, workers: int | None = None) -> Added:
        """Describe and append `places`, skipping photos whose content is in.

        Batches are on the disk every few seconds: after Ctrl-C or a kill the same call goes on where it stopped.
        Unreadable photos are left out and reported. Raises PlaceIndexError if another process is adding, or for photos
        that are known by a place label alone.
        """
        nowhere = places.path[~places.located]
        if len(nowhere):
            raise PlaceIndexError(
                f"{len(nowhere)} of {len(places)} photos have no position but a place label (the first: {nowhere[0]}), "
                "and an index answers with positions: add positions, or evaluate by labels with `netvlad evaluate`"
            )
        self._check_process()
        with only_writer(self.folder):
            if self._unwritten is not None:
                self._fit_and_write(self._unwritten, places, workers)
            self._forget("store")  # another process may have added since it was opened
            if not self.store.has_sums:  # they come with the first photos: a search file of before carries no seal
                (self.folder / "search.faiss").unlink(missing_ok=True)
            result = append(self.store, self.model, places, workers=workers)
            result.replaced = self.store.remove_replaced()
            self.store.merge()
            if result.replaced:  # rows have moved up
                (self.folder / "search.faiss").unlink(missing_ok=True)
            self._forget("_flat_index", "_calibrated")
            _ = self._flat_index, self._calibrated  # brought up to date while the lock is held
        return result

    def _fit_and_write(self, model: Saveable, places: Places, workers: int | None) -> None:
        from netvlad.describe.fit import fit

        if (self.folder / "manifest.json").exists():
            raise PlaceIndexError("was made by another process meanwhile: open it and add to it", path=self.folder)
        if needs_fit(model):
            fit(model, places.path.tolist(), workers=workers)
        self._write_first(model)
        self._unwritten = None

    def _forget(self, *properties: str) -> None:
        """Drop cached properties that are made from the table, which has grown."""
        for name in properties:
            self.__dict__.pop(name, None)

    @property
    def calibration(self) -> Calibration | None:
        """How confidence is computed; None where it cannot be, for the reason in `uncalibrated`."""
        return self._calibrated[0]

    @property
    def uncalibrated(self) -> str:
        """Why there is no calibration; empty where there is one."""
        return self._calibrated[1]

    @cached_property
    def _calibrated(self) -> tuple[Calibration | None, str]:
        """The calibration and the reason for none, kept in calibration.json."""
        return kept_calibration(self.folder / "calibration.json", self.store, self.radius)

    # -- asking -------------------------------------------------------------------------------------------------

    def locate(self, photo: ImageLike, top: int = 5) -> Location:
        """Locate `photo`, whatever `netvlad.read_image` takes. Raises ImageError, PlaceIndexError."""
        self._check_askable(top)
        vector = self.model.describe([photo])
        name = os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else ""
        return self._located([name], vector, top)[0]

    def locate_all(self, photos: Sequence[str], top: int = 5, *, workers: int | None = None) -> Located:
        """Locate each of `photos` (paths) that can be read. Raises PlaceIndexError."""
        self._check_askable(top)
        vectors, bad = self._describe(photos, "locating", workers)
        good = [i for i in range(len(photos)) if i not in bad]
        locations = self._located([photos[i] for i in good], vectors[good], top)
        return Located(locations, {photos[i]: reason for i, reason in bad.items()})

    def rank(self, photos: Sequence[str], k: int, *, workers: int | None = None) -> Ranking:
        """Rank the rows of the index for each of `photos`; none for a photo that cannot be read."""
        self._check_process()
        vectors, bad = self._describe(photos, "describing queries", workers)
        ids, scores = rank_vectors(self._flat_index.search, vectors, list(bad), k, len(self))
        return Ranking(ids, scores, unreadable={photos[i]: reason for i, reason in bad.items()})

    def _check_askable(self, top: int) -> None:
        self._check_process()
        if len(self) == 0:
            raise PlaceIndexError("holds no photos yet; add some first", path=self.folder)
        if top < 1:
            raise PlaceIndexError(f"the number of matches must be at least 1, got {top}")

    def _check_process(self) -> None:
        if os.getpid() != self._process:  # threads of faiss, torch and Lance do not survive a fork: it would hang
            raise PlaceIndexError(
                "was opened before this process was forked: open it in each process, and start processes with "
                'multiprocessing.get_context("spawn")',
                path=self.folder,
            )

    def _describe(self, photos: Sequence[str], what: str, workers: int | None) -> tuple[FloatArray, dict[int, str]]:
        from netvlad.describe.stream import describe_all

        return describe_all(self.model, photos, what=what, workers=workers)

    def _located(self, names: list[str], vectors: FloatArray, top: int) -> list[Location]:
        squared, ids = self._flat_index.search(vectors, min(len(self), max(top, DEEP)))
        return [
            locate(name, self.store.places(row), d, self.radius, self.calibration, top)
            for name, d, row in zip(names, squared, ids, strict=True)
        ]


def _only_ours(folder: Path) -> bool:
    """Nothing in the folder, or only what an interrupted `create` leaves."""
    return all(f.name in ("model", "places.lance") or f.name.startswith(".") for f in folder.iterdir())
