"""One registry for everything that is known by name; packages add to it by decorators or by entry points."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from netvlad.errors import ModelError, NetvladError, PlacesError

if TYPE_CHECKING:
    from importlib import metadata

    from netvlad.benchmarks.base import Benchmark
    from netvlad.types import Ranker

T = TypeVar("T")


class Registry(Generic[T]):
    """Name -> entry, of one kind.

    kind: what an entry is, for messages. group: the entry-point group that other packages register under. builtin:
    modules that register this package's own entries when they are imported; they are imported on the first look-up.
    unpack: what an entry point gives -> entries by name, where one may give several. Without it an entry point is
    imported only when its name is asked for; a broken one breaks nothing else in either case.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        builtin: tuple[str, ...] = (),
        error: type[NetvladError] = NetvladError,
        unpack: Callable[[Any], Mapping[str, T]] | None = None,
    ) -> None:
        self.kind, self.group, self.error = kind, group, error
        self._builtin, self._unpack = builtin, unpack
        self._entries: dict[str, T] = {}
        self._points: dict[str, metadata.EntryPoint] | None = None

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it decorates as `name`. Raises NetvladError where the name is taken."""

        def add(entry: T) -> T:
            self.add(name, entry)
            return entry

        return add

    def add(self, name: str, entry: T) -> None:
        """Register `entry` as `name`. Raises NetvladError where the name is taken."""
        if self._entries.get(name, entry) is not entry:
            raise self.error(f"a {self.kind} called {name!r} is registered already: choose another name")
        self._entries[name] = entry

    def __contains__(self, name: object) -> bool:
        return name in self._loaded() or name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """All names: the package's own in their order, then those of other packages.

        An entry point that should be unpacked and cannot be stands under its own name; `get` tells why.
        """
        for point in list(self._plugins()) if self._unpack else ():
            with suppress(self.error):
                self._load(point)
        own = list(self._loaded())
        return own + [name for name in self._plugins() if name not in own]

    def others(self) -> list[str]:
        """Names of other packages, and those that are loaded: the package's own modules are not imported for it."""
        return [*self._entries, *(name for name in self._plugins() if name not in self._entries)]

    def get(self, name: str) -> T:
        """The entry called `name`. Raises an error that lists close names, or all."""
        entries = self._loaded()
        names: list[str] = []
        if name not in entries:
            if name in self._plugins():
                self._load(name)
            names = self.names()  # loads entry points of other names that may give it
        if name not in entries:
            close = difflib.get_close_matches(name, names, 3)
            hint = f"close: {', '.join(close)}" if close else f"choose one of {', '.join(names)}"
            raise self.error(f"no {self.kind} is called {name!r}; {hint}")
        return entries[name]

    def _load(self, name: str) -> None:
        """Register what the entry point `name` gives; it is forgotten then."""
        point = self._plugins()[name]
        try:
            found = point.load()
            entries = self._unpack(found) if self._unpack else {name: found}
        except Exception as e:  # whatever another package's import raises
            source = f"{point.value} of entry-point group {self.group}"
            raise self.error(f"{self.kind} {name!r} cannot be loaded from {source} ({type(e).__name__}: {e})") from e
        for own, entry in entries.items():
            self.add(own, entry)
        del self._plugins()[name]

    def _loaded(self) -> dict[str, T]:
        modules, self._builtin = self._builtin, ()
        for module in modules:
            import_module(module)
        return self._entries

    def _plugins(self) -> dict[str, metadata.EntryPoint]:
        if self._points is None:
            from importlib import metadata  # slow, and `netvlad --help` does not need it

            points = sorted(metadata.entry_points(group=self.group), key=lambda point: point.name)
            self._points = {point.name: point for point in points}
        return self._points


def _benchmarks_by_name(found: Any) -> dict[str, Benchmark]:
    """What an entry point gives: a Benchmark, or a function that returns one or several."""
    made = found() if callable(found) else found
    return {one.name: one for one in (made if isinstance(made, Iterable) else [made])}


# model: (resize, and clusters and stage where given to netvlad.load) -> Describer
models: Registry[Callable[..., Any]] = Registry("model", "netvlad.models", error=ModelError)
# pooling: (channels, clusters) -> torch module with `dim` that maps (N, D, H, W) and a mask or None to (N, dim)
poolings: Registry[Callable[[int, int], Any]] = Registry(
    "pooling", "netvlad.poolings", ("netvlad.describe.pooling", "netvlad.describe.burst"), ModelError
)
# ranker: (database: Places, *, variant: str, near, seed: int, workers: int | None, **options) -> Ranker of its rows.
# variant: what follows the registered name, see `ranker_named`. near: None, or a function that returns the database
# photos near each (Neighbours). options: those of netvlad.load that were given and concern photos, that is `resize`.
rankers: Registry[Callable[..., Ranker]] = Registry("ranker", "netvlad.rankers", ("netvlad.search.named_trees",))
benchmarks: Registry[Benchmark] = Registry(
    "benchmark", "netvlad.benchmarks", ("netvlad.benchmarks.registry",), PlacesError, _benchmarks_by_name
)
# loss: (query (D,), positives (P, D), negatives (N, D), margin) -> loss of one tuple, a scalar tensor, or that and
# how many negatives violate the margin. The gradient of a batch is divided by the sum of these counts, 1 for a tensor
# alone. A loss that compares other things than tuples registers a class (netvlad.training.objective.Objective).
losses: Registry[Callable[..., Any]] = Registry(
    "loss",
    "netvlad.losses",
    ("netvlad.training.losses", "netvlad.training.softmax_objective", "netvlad.training.multi_similarity"),
)
# kind of a saved folder: class with load(folder)
artifacts: Registry[Any] = Registry(
    "kind of saved folder",
    "netvlad.artifacts",
    (
        "netvlad.describe.network",
        "netvlad.describe.dense_vlad",
        "netvlad.pretrained.simplenn",
        "netvlad.pretrained.hub",
        "netvlad.search.vocabulary_tree",
    ),
    ModelError,
)

register_model = models.register
register_pooling = poolings.register
register_ranker = rankers.register
register_loss = losses.register
register_artifact = artifacts.register


def ranker_named(name: str) -> tuple[Callable[..., Ranker], str] | None:
    """The factory and the variant that `name` stands for; None where no ranker is called so.

    A name is that of a registered ranker, or one followed by a hyphen and a variant, which the factory interprets:
    vocabtree-10x5 is the variant 10x5 of vocabtree.
    """
    hyphens = [i for i, letter in enumerate(name[:-1]) if letter == "-"]
    for end in (len(name), *reversed(hyphens)):
        if name[:end] in rankers:
            return rankers.get(name[:end]), name[end + 1 :]
    return None


def register_benchmark(benchmark: Benchmark) -> Benchmark:
    """Register a benchmark under its own name."""
    benchmarks.add(benchmark.name, benchmark)
    return benchmark
