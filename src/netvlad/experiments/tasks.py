"""What `evaluate` and `compare` judge: a benchmark in a folder, or photos of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """A database and queries with the rules they are judged by. benchmark, split: None for photos of one's own."""

    name: str
    title: str
    database: object
    queries: object
    protocol: object = None
    groups: dict = field(default_factory=dict)
    benchmark: object = None
    split: object = None
    crop: bool = False

    @property
    def published(self) -> tuple:
        return self.benchmark.published if self.benchmark else ()

    @property
    def is_map(self) -> bool:
        return self.benchmark is not None and self.benchmark.kind == "map"

    def near(self):
        """Which database photos may show one place: Neighbours."""
        from netvlad.places.place_matches import place_matches

        radius = getattr(self.protocol, "radius", None)
        return place_matches(self.database, self.database, 25.0 if radius is None else radius)

    def judge(self, makers: dict, config: dict):
        """An Evaluation, or where the measure is mean average precision a Retrieval."""
        from netvlad.evaluation.retrieval import evaluate_retrieval
        from netvlad.evaluation.run import evaluate

        if self.is_map:
            return evaluate_retrieval(makers, self.benchmark, self.split, config, crop=self.crop)
        listed = self.split.positives if self.split and self.protocol.radius is None else None
        return evaluate(
            makers, self.database, self.queries, self.protocol, config, positives=listed, groups=self.groups
        )

    def cropping(self) -> tuple[Callable, dict]:
        """What stands before a ranker so that it sees queries as is wanted, and what answers then depend on."""
        import hashlib

        from netvlad.evaluation.retrieval import Cropping

        if not self.crop:
            return (lambda ranker: ranker), {}
        roi = self.split.roi
        digest = hashlib.sha256(roi.tobytes()).hexdigest()
        return (lambda ranker: Cropping(ranker, self.queries.path, roi)), {"regions": digest}


def of_benchmarks(names: Sequence[str], root: Path | None, *, whole: bool = False) -> list[Task]:
    """The benchmarks in folder `root`, each read and checked.

    whole: leave regions of interest alone. Errors: NetvladError for a name, a folder or photos that are not there.
    """
    from netvlad.benchmarks import benchmark
    from netvlad.errors import NetvladError

    known = [benchmark(name) for name in names]
    if root is None:
        raise NetvladError(f"--benchmark {names[0]} needs --root, the folder it is in:\n{known[0].layout}")
    tasks = []
    for one in known:
        if one.kind == "train":
            raise NetvladError(f"{one.name} has no queries: it is to train on")
        split = one.read(root)
        crop = split.roi is not None and not whole
        groups, protocol = one.groups(split), None if one.kind == "map" else one.protocol
        tasks.append(Task(one.name, one.title, split.database, split.queries, protocol, groups, one, split, crop))
    return tasks


def of_tables(database: Path | None, queries: Path | None, protocol, strict: bool) -> list[Task]:
    """Photos of one's own. Errors: NetvladError where one of the two is not given or cannot be read."""
    from netvlad.cli.common import read_places
    from netvlad.errors import NetvladError

    if database is None or queries is None:
        raise NetvladError("give --database and --queries, or --benchmark and --root")
    name = f"{queries.stem} in {database.stem}"
    return [Task(name, name, read_places(database, strict), read_places(queries, strict), protocol)]


def own_rules(radius: float | None, unmatched: bool, best_per_panorama: bool, other_dates: bool, benchmarks):
    """The protocol of photos of one's own. Errors: NetvladError for rules beside a benchmark, which has its own."""
    from netvlad.benchmarks.protocol import Protocol
    from netvlad.errors import NetvladError

    if benchmarks and (radius is not None or unmatched or best_per_panorama or other_dates):
        raise NetvladError(
            f"{benchmarks[0]} has its own rules: leave --radius, --keep-unmatched, --best-per-panorama and "
            "--other-dates out, or give its photos as --database and --queries"
        )
    return Protocol(
        radius=25.0 if radius is None else radius,
        unmatched="keep" if unmatched else "drop",
        best_per_panorama=best_per_panorama,
        other_dates=other_dates,
    )


def as_is(tasks: Sequence[Task]) -> bool:
    """Whether all of them want photos described at their size."""
    return all(task.benchmark is not None and "as is" in task.benchmark.protocol.query_resize for task in tasks)


def tell_of(found, methods, task: Task) -> None:
    """What a person should know of a result beside its numbers, on stderr."""
    from netvlad.cli.common import tell, tell_unreadable

    tell_unreadable(found.unreadable)
    both = sorted(set(task.database.path) & set(task.queries.path))
    if not task.is_map:
        tell("these queries are in the database too and find themselves", both)
    tell("answered from what an earlier run kept", methods.kept)
    scaled = [f"{label}: to {size} pixels" for label, size in methods.resized.items() if size]
    if as_is([task]):
        tell(f"{task.name} takes photos as they are, and these scale larger ones down", scaled)


def published_rows(methods, task: Task) -> dict:
    """Label -> the published result that its model compares with."""
    from netvlad.benchmarks.published import row_of

    rows = {label: row_of(facts, task.name) for label, facts in methods.known.items() if facts and task.benchmark}
    return {label: row for label, row in rows.items() if row}
