"""Judge models on one task: what `netvlad evaluate` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from netvlad.benchmarks.protocol import Protocol
from netvlad.benchmarks.published import PublishedResult
from netvlad.errors import NetvladError
from netvlad.evaluation.result import Evaluation
from netvlad.evaluation.retrieval import Retrieval
from netvlad.experiments.ranker_factory import Model, RankerOptions, build_rankers
from netvlad.experiments.tasks import Task, benchmark_task, table_task
from netvlad.places import Places
from netvlad.report import recall_report, retrieval_report
from netvlad.search.rerank import RerankOptions
from netvlad.types import Describer, Ranker

Models: TypeAlias = Model | Sequence[Model] | Mapping[str, Model]

# where no models are named: the paper's question, and the model that comes along, on one packaged backbone
COMPARED = ("tf_efficientnet_lite0-max", "tf_efficientnet_lite0-netvlad", "default")


@dataclass(frozen=True, eq=False)
class Result:
    """What an evaluation on one task found, and what to know of it.

    found: rankings and scores. published: name of a ranker -> the published result that it compares with. resized:
    name -> longest side in pixels that photos were scaled down to. cached: names of those that were read from the
    cache. swept: name -> (model, dimension), where vectors were cut.
    """

    task: Task
    found: Evaluation | Retrieval
    published: Mapping[str, PublishedResult]
    resized: Mapping[str, int]
    cached: tuple[str, ...]
    swept: Mapping[str, tuple[str, int]]

    @property
    def recall(self) -> dict[str, dict[int, float]]:
        """Name of a ranker -> N -> recall@N, 0..1; {} on benchmarks that are judged by mean average precision."""
        return {} if isinstance(self.found, Retrieval) else {m.name: dict(m.recall) for m in self.found.methods}

    @property
    def average_precision(self) -> dict[str, float]:
        """Name of a ranker -> mean average precision, 0..1; {} on tasks that are judged by recall."""
        return {m.name: m.mean for m in self.found.methods} if isinstance(self.found, Retrieval) else {}

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The contents of results.json."""
        if isinstance(self.found, Retrieval):
            return retrieval_report.summary(self.found, self.published)
        return recall_report.summary(self.found, self.published)

    def write_report(self, folder: str | os.PathLike[str]) -> Path:
        """Write results.json, for recall also recall.png and index.html, into a folder; returns the page's path."""
        if isinstance(self.found, Retrieval):
            return retrieval_report.write_report(self.found, Path(folder), published=self.published)
        return recall_report.write_report(self.found, Path(folder), published=self.published)


def evaluate(
    models: Models = COMPARED,
    *,
    database: Places | str | os.PathLike[str] | None = None,
    queries: Places | str | os.PathLike[str] | None = None,
    benchmark: str | None = None,
    root: str | os.PathLike[str] | None = None,
    protocol: Protocol | None = None,
    whole_queries: bool = False,
    rerank: RerankOptions | None = None,
    cache: str | os.PathLike[str] | None = None,
    clusters: int | None = None,
    stage: str | None = None,
    resize: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> Result:
    """Judge models by recall@N, or as a benchmark says, on photos of one's own or on a benchmark.

    models: names that `netvlad.load` takes, "vocabtree", any with "-distinct" behind it, folders, describers, or
    rankers over the database; one, several, or label -> model. Models without cluster centres get them from the
    database.
    database, queries, protocol: photos of one's own, tables or what `netvlad.read_places` reads, and their rules.
    benchmark, root: instead of those, a benchmark's name and the folder that holds it. whole_queries: do not crop
    queries to their region of interest.
    rerank: judge each model once more with geometric verification. cache: a folder that keeps rankings for the next
    run. clusters, stage, resize: of models given by name, as for `netvlad.load`; resize 0 never scales photos.
    Raises NetvladError for missing photos, benchmarks and models, and for options that do not go together.
    """
    options = RankerOptions(
        model_options(clusters, stage, resize), seed, workers, None if cache is None else Path(cache), rerank=rerank
    )
    task = make_task(database, queries, benchmark, root, protocol, whole_queries)
    return run(task, labelled(models), options)


def run(task: Task, models: Mapping[str, Model], options: RankerOptions) -> Result:
    """Judge models, label -> model, on a task. One ranker is in memory at a time."""
    if options.rerank is not None and task.is_map:
        raise NetvladError(f"{task.name} judges a ranking of all its photos: --rerank would order the first alone")
    judge = task.judge()
    rankings, published, resized, cached, swept = {}, {}, {}, [], {}
    for label, model in models.items():
        for built in build_rankers(label, model, task, options):
            rankings[built.label] = judge.rank(built.ranker)
            if built.published is not None:
                published[built.label] = built.published
            if built.resize is not None:
                resized[built.label] = built.resize
            if built.swept is not None:
                swept[built.label] = built.swept
            if built.cached:
                cached.append(built.label)
            del built  # its vectors, before those of the next are computed
    found = judge.result(rankings, _config(task, models, options))
    return Result(task, found, published, resized, tuple(cached), swept)


def _config(task: Task, models: Mapping[str, Model], options: RankerOptions) -> dict[str, Any]:
    """How to run it again, as results.json states it."""
    names = {label: _name(model) for label, model in models.items()}
    rerank = asdict(options.rerank) if options.rerank else {}
    return {
        **task.source,
        "models": list(names) if list(names) == list(names.values()) else names,
        "seed": options.seed,
        **options.model,
        **({"dims": list(options.dims)} if options.dims else {}),
        **({"rerank": {key: value for key, value in rerank.items() if value is not None}} if rerank else {}),
    }


def make_task(
    database: Places | str | os.PathLike[str] | None,
    queries: Places | str | os.PathLike[str] | None,
    benchmark: str | None,
    root: str | os.PathLike[str] | None,
    protocol: Protocol | None,
    whole_queries: bool = False,
) -> Task:
    """A benchmark, or photos of one's own. Raises NetvladError where neither or both are given."""
    if benchmark is not None:
        if root is None:
            raise NetvladError(f"benchmark {benchmark} needs its root, the folder that holds it")
        if database is not None or queries is not None or protocol is not None:
            raise NetvladError(f"{benchmark} has its own photos and rules: leave database, queries and protocol out")
        return benchmark_task(benchmark, root, whole_queries=whole_queries)
    if database is None or queries is None:
        raise NetvladError("give a database and queries, or a benchmark and its root")
    return table_task(database, queries, protocol)


def labelled(models: Models, *, short: bool = False) -> dict[str, Model]:
    """Label -> model. short: folders are called by their last part, unless two of them would be called alike."""
    if isinstance(models, Mapping):
        return dict(models)
    if isinstance(models, str | os.PathLike | Describer | Ranker):
        models = [models]
    names: dict[str, Model] = {}
    for model in models:
        name = _name(model)
        if names.setdefault(name, model) is not model and not isinstance(model, str | os.PathLike):
            raise NetvladError(f"two models are called {name}: give them as label -> model")
    if not short:
        return names
    labels = [Path(name).name if (Path(name) / "card.json").is_file() else name for name in names]
    return {(s if labels.count(s) == 1 else name): names[name] for s, name in zip(labels, names, strict=True)}


def model_options(
    clusters: int | None, stage: str | None, resize: int | None, *, trust_code: bool = False
) -> dict[str, Any]:
    """The options of `netvlad.load` that are given; resize 0 means never."""
    given = {"clusters": clusters, "stage": stage}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if trust_code:
        options["trust_code"] = True
    return options if resize is None else {**options, "resize": resize or None}


def _name(model: Model) -> str:
    return model.name if isinstance(model, Describer | Ranker) else os.fspath(model)
