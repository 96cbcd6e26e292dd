"""An index of places: photos with known positions, described, kept on disk, and asked where another was taken."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np

from netvlad.errors import ImageError, PlaceIndexError
from netvlad.maps.adding import Added, append
from netvlad.maps.confidence import DEEP, Calibration, calibrate
from netvlad.maps.location import Location, locate
from netvlad.maps.store import Store
from netvlad.places import Places
from netvlad.runtime.files import write_json
from netvlad.runtime.locks import only_writer
from netvlad.search.flat_index import Exact, rank_vectors
from netvlad.types import Ranking

FORMAT = 1
RADIUS = 25.0


class PlaceIndex:
    """A folder: places.lance (places and vectors), search.faiss, calibration.json, model/ and manifest.json.

    Made by `create`, opened by `open`; `add` appends, `locate` asks. It is a ranker: `rank(photos, k)`.
    """

    def __init__(self, folder: Path, model=None, radius: float = RADIUS):
        self.folder = folder
        self.radius = radius
        self._model = model

    # -- making and opening -------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: str | os.PathLike, model, *, radius: float = RADIUS) -> PlaceIndex:
        """A new index of `model`'s vectors. radius: metres within which an answer counts as right.

        A model whose cluster centres are missing is fitted on the first places added. Nothing is written before.
        Raises PlaceIndexError where the folder holds an index, or anything else.
        """
        folder = Path(folder)
        if (folder / "manifest.json").exists():
            raise PlaceIndexError(f"{folder} is an index already: open it and add to it, or choose another folder")
        if folder.exists() and not (folder.is_dir() and _only_ours(folder)):
            raise PlaceIndexError(f"{folder} is there already and is not an index; choose another folder")
        if not radius > 0:
            raise PlaceIndexError(f"a radius must be more than 0 metres, got {radius}")
        index = cls(folder, model, radius)
        if model.ready:
            with only_writer(folder):
                index._write_first()
        return index

    @classmethod
    def open(cls, folder: str | os.PathLike, model=None) -> PlaceIndex:
        """Open an index. model: refused unless it is the one that the index was built with (default: the index's own).

        Raises PlaceIndexError where there is no index, or one of another format or model.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if model is not None and model.identity != manifest["model"]["identity"]:
            raise PlaceIndexError(
                f"{folder} was built with {manifest['model']['name']} ({manifest['model']['identity'][:12]}); "
                f"{model.name} ({model.identity[:12]}) makes other vectors. Ask it with its own model, which is in "
                f"{folder / 'model'}, or build another index"
            )
        return cls(folder, model, manifest["radius"])

    def _write_first(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._model.save(self.folder / "model")
        Store.create(self.folder / "places.lance", self._model.dim)
        manifest = {
            "format": FORMAT,
            "radius": self.radius,
            "model": {"name": self._model.name, "identity": self._model.identity, "dim": self._model.dim},
        }
        write_json(self.folder / "manifest.json", manifest)

    @property
    def model(self):
        """The describer the index was built with."""
        if self._model is None:
            from netvlad.pretrained.zoo import load_folder

            self._model = load_folder(self.folder / "model")
        return self._model

    @property
    def name(self) -> str:
        """What results call its describer."""
        return self.model.name

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.model.dim

    @cached_property
    def store(self) -> Store:
        return Store(self.folder / "places.lance")

    @cached_property
    def _exact(self) -> Exact:
        return Exact(self.store, self.folder / "search.faiss")

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
        Unreadable photos are left out and told of. Raises NetvladError if another process is adding, PlaceIndexError
        for photos that are known by a place label alone.
        """
        nowhere = places.path[~places.located]
        if len(nowhere):
            raise PlaceIndexError(
                f"{len(nowhere)} of {len(places)} photos have no position but a place label (the first: {nowhere[0]}), "
                "and an index answers with positions: give them theirs, or judge by labels with `netvlad evaluate`"
            )
        with only_writer(self.folder):
            self.__dict__.pop("store", None)  # another process may have added since it was opened
            if not self.model.ready:
                if (self.folder / "manifest.json").exists():
                    raise PlaceIndexError(f"{self.folder} was made by another process meanwhile: open it and add to it")
                from netvlad.describe.fit import fit

                fit(self.model, places.path, workers=workers)
            if not (self.folder / "manifest.json").exists():
                self._write_first()
            result = append(self.store, self.model, places, workers=workers)
            self.store.merge()
            self._refresh()
        return result

    def _refresh(self) -> None:
        """Bring up to date what is made from the table."""
        self.__dict__.pop("_exact", None)
        self.__dict__.pop("calibration", None)
        _ = self._exact
        _ = self.calibration

    @cached_property
    def calibration(self) -> Calibration | str:
        """How confidence is computed, or the reason why it cannot be; kept in calibration.json."""
        file = self.folder / "calibration.json"
        try:
            saved = json.loads(file.read_text(encoding="utf-8"))
            if saved.pop("photos") == len(self.store):
                return saved["reason"] if "reason" in saved else Calibration(**saved)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        learnt = calibrate(self.places, self.store.vectors, self.radius)
        what = {"reason": learnt} if isinstance(learnt, str) else learnt.to_dict()
        with suppress(OSError):  # an index on a disk that cannot be written to is still good to ask
            write_json(file, {"photos": len(self.store), **what})
        return learnt

    # -- asking -------------------------------------------------------------------------------------------------

    def locate(self, photo, top: int = 5) -> Location:
        """Where `photo` (a path, bytes, array or Pillow image) was taken. Raises ImageError, PlaceIndexError."""
        self._check_askable(top)
        vector = self.model.describe([photo])
        name = os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else ""
        return self._located([name], vector, top)[0]

    def locate_all(self, photos: Sequence[str], top: int = 5, *, workers: int | None = None) -> list:
        """A Location for each path of `photos`, in order; an ImageError in place of one for an unreadable photo."""
        from netvlad.describe.stream import describe_all

        self._check_askable(top)
        vectors, unreadable = describe_all(self.model, photos, what="locating", workers=workers)
        good = [i for i in range(len(photos)) if i not in unreadable]
        answers = iter(self._located([photos[i] for i in good], vectors[good], top))
        return [ImageError(f"{p}: {unreadable[i]}") if i in unreadable else next(answers) for i, p in enumerate(photos)]

    def _check_askable(self, top: int) -> None:
        if len(self) == 0:
            raise PlaceIndexError(f"{self.folder} holds no photos yet: add some first")
        if top < 1:
            raise PlaceIndexError(f"the number of matches must be at least 1, got {top}")

    def _located(self, names: list[str], vectors: np.ndarray, top: int) -> list[Location]:
        squared, ids = self._exact.search(vectors, min(len(self), max(top, DEEP)))
        return [
            locate(name, self.store.places(row), d, self.radius, self.calibration, top)
            for name, d, row in zip(names, squared, ids, strict=True)
        ]

    def rank(self, photos: Sequence[str], k: int, *, workers: int | None = None) -> Ranking:
        """The k best database rows for each photo; none for a photo that cannot be read."""
        from netvlad.describe.stream import describe_all

        vectors, unreadable = describe_all(self.model, photos, what="describing queries", workers=workers)
        ids, scores = rank_vectors(self._exact.search, vectors, list(unreadable), k, len(self))
        return Ranking(ids, scores, unreadable={photos[row]: reason for row, reason in unreadable.items()})


def read_manifest(folder: Path) -> dict:
    """manifest.json of an index. Raises PlaceIndexError where there is none that this version reads."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        version = manifest["format"]
    except FileNotFoundError as e:
        reason = "is not an index (no manifest.json in it); make one with `netvlad index`"
        raise PlaceIndexError(f"{folder} {reason}") from e
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise PlaceIndexError(f"{folder / 'manifest.json'} cannot be read ({type(e).__name__}: {e})") from e
    if version != FORMAT:
        raise PlaceIndexError(f"{folder} is an index of format {version!r}; this version reads format {FORMAT}")
    return manifest


def _only_ours(folder: Path) -> bool:
    """Nothing in the folder, or only what an interrupted `create` leaves."""
    return all(f.name in ("model", "places.lance") or f.name.startswith(".") for f in folder.iterdir())
