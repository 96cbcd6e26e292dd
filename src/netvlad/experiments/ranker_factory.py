"""Rankers over the database of a task, from models that are given by name, as folders or as objects."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from netvlad import __version__
from netvlad.benchmarks.published import PublishedResult, row_of
from netvlad.describe.stream import Describing
from netvlad.errors import NetvladError
from netvlad.experiments.cached_ranker import CachedRanker, MemoizedRanker, stamp
from netvlad.experiments.tasks import Task
from netvlad.places import Neighbours
from netvlad.registry import ranker_named
from netvlad.search.named_trees import is_tree_folder, vocabulary_tree_ranker
from netvlad.search.rankers import MemoryRanker, Sweep
from netvlad.search.rerank import Reranker, RerankOptions
from netvlad.types import Describer, Ranker, needs_fit

Model: TypeAlias = str | os.PathLike[str] | Describer | Ranker

DISTINCT = "-distinct"


@dataclass(frozen=True)
class RankerOptions:
    """How rankers are built from models.

    model: options of `netvlad.load` for models given by name. seed: of what is fitted on the database. cache: a folder
    that keeps rankings. dims: rank by the first so many numbers of each vector, instead of by all. rerank: rank once
    more with geometric verification. describing: what describes in the place of this machine, for describers.
    """

    model: Mapping[str, Any]
    seed: int = 0
    workers: int | None = None
    cache: Path | None = None
    dims: tuple[int, ...] = ()
    rerank: RerankOptions | None = None
    describing: Describing | None = None


@dataclass(frozen=True)
class BuiltRanker:
    """A ranker, and what results say of it.

    published: the published result that it compares with. resize: longest side in pixels that photos are scaled down
    to. swept: the model's label and the dimension, where vectors are cut. cache: where its rankings are kept, if they
    are.
    """

    label: str
    ranker: Ranker
    published: PublishedResult | None = None
    resize: int | None = None
    swept: tuple[str, int] | None = None
    cache: CachedRanker | None = None

    @property
    def cached(self) -> bool:
        """Whether all rankings so far were read from the cache."""
        counts = self.cache.counts if self.cache else {"from disk": 0, "anew": 0}
        return counts["from disk"] > 0 and not counts["anew"]


def build_rankers(label: str, model: Model, task: Task, options: RankerOptions) -> Iterator[BuiltRanker]:
    """Yield the rankers of one model: one, or one for each dimension, and each once more with re-ranking.

    A ranker holds the vectors of the database: drop it before asking for the next. Raises NetvladError for models that
    are missing or do not fit the options.
    """
    if options.dims:
        yield from _sweep(label, model, task, options)
        return
    built = _build(label, model, task, options)
    if options.rerank is None:
        yield built
        return
    memoized = MemoizedRanker(built.ranker)  # queries are described once for both
    yield replace(built, ranker=memoized)
    yield BuiltRanker(f"{label} + rerank", Reranker(memoized, task.photos, options.rerank))


def _build(label: str, model: Model, task: Task, options: RankerOptions) -> BuiltRanker:
    """The ranker of all numbers of a model."""
    if isinstance(model, Ranker):
        return BuiltRanker(label, model)
    if isinstance(model, str | os.PathLike) and (factory := ranker_of(model)) is not None:
        return _registered(label, os.fspath(model), factory, task, options)
    distinct = is_distinct(model)
    describer, key = _loaded(model, task, options)
    near = task.near if distinct else None
    if near is not None:
        key["near"] = _digest(near)

    def make() -> Ranker:
        from netvlad.describe.fit import fit

        if needs_fit(describer):
            fit(describer, task.photos, seed=options.seed, workers=options.workers)
        return MemoryRanker(describer, task.photos, near=near, workers=options.workers, describing=options.describing)

    ranker, cache = _cached(label, make, key, task, options, describer.dim)
    row = None if distinct or task.benchmark is None else row_of(describer, task.name)
    return BuiltRanker(label, ranker, row, describer.resize, cache=cache)


def _registered(
    label: str, name: str, factory: Callable[..., Ranker], task: Task, options: RankerOptions
) -> BuiltRanker:
    """The ranker of a registered name, or of the folder of a vocabulary tree."""
    resize = {key: size for key, size in options.model.items() if key == "resize"}
    make = partial(factory, task.database, near=lambda: task.near, seed=options.seed, workers=options.workers, **resize)
    card = Path(name) / "card.json"
    model = card.read_text("utf-8") if card.is_file() else name
    key = {"model": model, "seed": options.seed, "resize": options.model.get("resize", "default")}
    if is_distinct(name):
        key["near"] = _digest(task.near)
    ranker, cache = _cached(label, make, key, task, options)
    return BuiltRanker(label, ranker, cache=cache)


def _sweep(label: str, model: Model, task: Task, options: RankerOptions) -> Iterator[BuiltRanker]:
    """The rankers of the first numbers of a whitened model: photos are described once for all dimensions."""
    if is_distinct(model):
        raise NetvladError(f"{label} is worked out in all dimensions: give --dims without {DISTINCT}")
    if isinstance(model, Ranker) or ranker_of(model) is not None:
        raise _unwhitened(label)
    describer, key = _loaded(model, task, options)
    if not is_whitened(describer):
        raise _unwhitened(label)
    largest = max(options.dims)
    if largest > describer.dim:
        raise NetvladError(f"{label} has {describer.dim} numbers: {largest} cannot be kept of them")
    sweep = Sweep(lambda: MemoryRanker(describer, task.photos, workers=options.workers, describing=options.describing))
    for dim in options.dims:
        name = f"{label}, {dim}-D"
        ranker, cache = _cached(name, partial(sweep.ranker, dim), {**key, "dim": dim}, task, options, dim)
        yield BuiltRanker(name, ranker, None, describer.resize, (label, dim), cache)
        del ranker, cache


def _unwhitened(label: str) -> NetvladError:
    return NetvladError(
        f"{label} is not whitened, so its first numbers alone say little: --dims takes models that "
        "`netvlad fit --whiten` wrote"
    )


def _loaded(model: Model, task: Task, options: RankerOptions) -> tuple[Describer, dict[str, Any]]:
    """The describer, and what its vectors depend on.

    Where the task wants photos at their size, models given by name leave them so unless the options say otherwise;
    DenseVLAD and saved models have a size of their own.
    """
    from netvlad.pretrained.zoo import DENSE_VLADS, load

    if isinstance(model, str | os.PathLike):
        name = os.fspath(model).removesuffix(DISTINCT) if is_distinct(model) else os.fspath(model)
        size = {"resize": None} if task.as_is and name not in DENSE_VLADS else {}
        describer: Describer = load(name, **{**size, **options.model})
    elif isinstance(model, Describer):
        describer = model
    else:
        raise NetvladError(f"{model!r} is neither a name, a folder, a describer nor a ranker")
    key: dict[str, Any] = {"model": describer.identity}
    if needs_fit(describer):
        key["centres from the database by seed"] = options.seed
    return describer, key


def _cached(
    label: str,
    make: Callable[[], Ranker],
    key: Mapping[str, Any],
    task: Task,
    options: RankerOptions,
    dim: int | None = None,
) -> tuple[Ranker, CachedRanker | None]:
    """What `make` returns, asked with cropped queries where the task wants that; made when needed with a cache."""
    if options.cache is None:
        return task.cropped(make()), None
    key = {**key, "database": stamp(task.photos), "netvlad": __version__, **task.regions}
    cached = CachedRanker(lambda: task.cropped(make()), options.cache, key, label, dim)
    return cached, cached


def ranker_of(model: Model) -> Callable[..., Ranker] | None:
    """What makes the ranker that a registered name or the folder of a vocabulary tree stands for; None for others."""
    if not isinstance(model, str | os.PathLike):
        return None
    name = os.fspath(model)
    if is_tree_folder(name):
        return partial(vocabulary_tree_ranker, tree=name)
    found = None if (Path(name) / "card.json").is_file() else ranker_named(name)
    return None if found is None else partial(found[0], variant=found[1])


def is_distinct(model: Model) -> bool:
    """Whether a name asks for what is distinctive of the database's photos; a model's folder may be called anything."""
    if not isinstance(model, str | os.PathLike):
        return False
    return os.fspath(model).endswith(DISTINCT) and not (Path(model) / "card.json").is_file()


def is_whitened(describer: Describer) -> bool:
    """Whether a describer of this package whitens its vectors, so that their first numbers say most."""
    from netvlad.describe.base import BaseDescriber

    return isinstance(describer, BaseDescriber) and describer.whitening is not None


def _digest(near: Neighbours) -> str:
    return hashlib.sha256(near.offsets.tobytes() + near.ids.tobytes()).hexdigest()
