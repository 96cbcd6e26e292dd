"""Models by name as rankers over a database, for the commands that judge them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace

DISTINCT = "-distinct"


class Methods:
    """Models to judge.

    names: as `netvlad.load` takes them, or vocabtree, or label -> such a name; with -distinct behind it the database is
    searched by what is distinctive of its photos (`netvlad.search.distinctive`). options: of `load`, for models given
    by name; folder: where answers are kept, None nowhere. dims: judge each model cut to so many numbers, and whole ones
    not at all.
    near: makes the Neighbours of the database in itself, which -distinct needs; it is called at most once.
    as_is: models given by name leave photos at their size, unless the options say otherwise; not DenseVLAD and
    vocabulary trees, whose method has a size of its own. After the rankers were made, `known` has for each label what
    published rows could say of it, `resized` the size it scales photos down to, `dims_of` its model and dimension,
    and `kept` which labels were answered from the folder.
    """

    def __init__(
        self,
        names: Sequence[str] | dict[str, str],
        options: dict,
        *,
        seed: int = 0,
        workers: int | None = None,
        folder: Path | None = None,
        dims: Sequence[int] = (),
        as_is: bool = False,
        near: Callable | None = None,
    ):
        self.labels = names if isinstance(names, dict) else {name: name for name in names}
        self.options, self.seed, self.workers, self.folder, self.dims = options, seed, workers, folder, tuple(dims)
        self.as_is, self.near = as_is, near and cache(near)
        self.known: dict = {}
        self.resized: dict[str, int | None] = {}
        self.dims_of: dict[str, tuple[str, int]] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def makers(self, database: Sequence[str], wrap: Callable = lambda ranker: ranker, **more) -> dict[str, Callable]:
        """Label -> a function that makes its ranker over the photos `database`.

        wrap: what stands between a ranker and its answers, such as the cropping of queries; more: what answers then
        depend on besides.
        """
        if not self.dims:
            return {label: (lambda label=label: self._ranker(label, database, wrap, more)) for label in self.labels}
        makers = {}
        for label in self.labels:
            sweep: list = []  # shared by all dimensions of a model, and let go of with the last
            for dim in self.dims:
                name = f"{label}, {dim}-D"
                self.dims_of[name] = (label, dim)
                makers[name] = lambda label=label, dim=dim, sweep=sweep: self._cut(
                    label, dim, database, wrap, more, sweep
                )
        return makers

    @property
    def kept(self) -> list[str]:
        """The labels whose answers were all on disk."""
        return [label for label, counts in self._counts.items() if counts["from disk"] and not counts["anew"]]

    def _ranker(self, label: str, database, wrap: Callable, more: dict):
        from netvlad.search.rankers import MemoryRanker

        name = self.labels[label]
        if is_tree(name):
            key = self._tree_key(name)
            return self._kept(label, lambda: wrap(self._tree(name, database)), key, database, more, None)
        describer, key = self._loaded(label)
        near = self._near(name) if is_distinct(name) else None

        def make():
            return wrap(MemoryRanker(self._fitted(describer, database), database, near=near, workers=self.workers))

        if near is not None:
            key["near"] = _digest(near)
        return self._kept(label, make, key, database, more, describer.dim)

    def _cut(self, label: str, dim: int, database, wrap: Callable, more: dict, sweep: list):
        """The ranker of the first `dim` numbers of a model."""
        from netvlad.errors import NetvladError
        from netvlad.search.rankers import MemoryRanker, Sweep

        name = self.labels[label]
        if is_distinct(name):
            raise NetvladError(f"{label} is worked out in all dimensions: give --dims without {DISTINCT}")
        if not sweep:
            describer, key = (None, None) if is_tree(name) else self._loaded(label)
            if getattr(describer, "whitening", None) is None:
                raise NetvladError(
                    f"{label} is not whitened, so its first numbers alone say little: --dims takes models that "
                    "`netvlad fit --whiten` wrote"
                )
            if max(self.dims) > describer.dim:
                raise NetvladError(f"{label} has {describer.dim} numbers: {max(self.dims)} cannot be kept of them")
            sweep += [Sweep(lambda: MemoryRanker(describer, database, workers=self.workers)), key]
        shared, key = sweep
        if dim == self.dims[-1]:
            sweep.clear()
        key = {**key, "dim": dim}
        return self._kept(f"{label}, {dim}-D", lambda: wrap(shared.ranker(dim)), key, database, more, dim)

    def _loaded(self, label: str) -> tuple:
        """The describer, and what its vectors depend on."""
        from netvlad.pretrained.zoo import DENSE_VLAD, load

        name = self.labels[label]
        distinct = is_distinct(name)
        name = name.removesuffix(DISTINCT) if distinct else name
        size = {"resize": None} if self.as_is and name != DENSE_VLAD else {}
        describer = load(name, **{**size, **self.options})
        facts = SimpleNamespace(name=describer.name, dim=describer.dim, method=describer.method)
        self.known[label], self.resized[label] = None if distinct else facts, describer.resize
        key = {"model": describer.identity}
        if not describer.ready:
            key["centres from the database by seed"] = self.seed
        return describer, key

    def _fitted(self, describer, database: Sequence[str]):
        from netvlad.describe.fit import fit

        if not describer.ready:
            fit(describer, database, seed=self.seed, workers=self.workers)
        return describer

    def _tree(self, name: str, database: Sequence[str]):
        from netvlad.search.vocabulary_tree_ranker import ranker_named

        resized = {key: size for key, size in self.options.items() if key == "resize"}
        return ranker_named(name, database, near=self.near, seed=self.seed, workers=self.workers, **resized)

    def _tree_key(self, name: str) -> dict:
        card = Path(name) / "card.json"
        model = card.read_text("utf-8") if card.is_file() else name
        key = {"model": model, "seed": self.seed, "resize": self.options.get("resize", "default")}
        if is_distinct(name):
            key["near"] = _digest(self._near(name))
        return key

    def _near(self, name: str):
        from netvlad.errors import NetvladError

        if self.near is None:
            raise NetvladError(f"{name} learns from photos of other places, and nothing tells here which those are")
        return self.near()

    def _kept(self, label: str, make: Callable, key: dict, database, more: dict, dim: int | None):
        from netvlad import __version__
        from netvlad.experiments.cached_ranker import CachedRanker, stamp

        if self.folder is None:
            return make()
        key = {**key, "database": stamp(database), "netvlad": __version__, **more}
        ranker = CachedRanker(make, self.folder, key, label, dim)
        self._counts[label] = ranker.counts  # not the ranker: it holds vectors
        return ranker


def is_tree(name: str) -> bool:
    """Whether a name stands for a vocabulary tree."""
    from netvlad.errors import PlaceIndexError
    from netvlad.runtime.artifacts import read_card
    from netvlad.search.vocabulary_tree import KIND

    if (Path(name) / "card.json").is_file():
        return bool(read_card(name, error=PlaceIndexError)["kind"] == KIND)
    return name.startswith("vocabtree")


def is_distinct(name: str) -> bool:
    """Whether a name asks for what is distinctive of the database's photos; a model's folder may be called anything."""
    return name.endswith(DISTINCT) and not (Path(name) / "card.json").is_file()


def _digest(near) -> str:
    return hashlib.sha256(near.offsets.tobytes() + near.ids.tobytes()).hexdigest()


def short_labels(names: Sequence[str]) -> dict[str, str]:
    """Label -> name: folders by their last part, unless two of them would be called alike."""
    names = list(dict.fromkeys(names))
    short = [Path(name).name if (Path(name) / "card.json").is_file() else name for name in names]
    return {(s if short.count(s) == 1 else name): name for s, name in zip(short, names, strict=True)}
