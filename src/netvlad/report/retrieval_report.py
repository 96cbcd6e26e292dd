"""The report of an evaluation by mean average precision: results.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks.published import PublishedResult
from netvlad.evaluation.protocol_text import retrieval_rules
from netvlad.evaluation.retrieval import Retrieval
from netvlad.report.published import compared
from netvlad.report.values import number, plain, stage
from netvlad.runtime.files import write_json


def summary(found: Retrieval, published: Mapping[str, PublishedResult] | None = None) -> dict[str, Any]:
    """The contents of results.json: mAP, mP@k and the average precision of each query, 0..1, of each method.

    published: as for `recall_report.summary`.
    """
    database, queries = len(found.split.database), len(found.split.queries)
    names = found.split.names if found.split.names is not None else found.split.queries.path
    return {
        "rules": retrieval_rules(found.benchmark.protocol, found.cropped),
        "counts": {
            "database": database,
            "queries": queries,
            "judged": int(np.sum(found.judged)),
            "unreadable": len(found.unreadable),
        },
        "methods": [
            {
                "name": method.name,
                "dim": method.dim,
                "map": number(method.mean, 6),
                "precision_at": {str(k): number(share, 6) for k, share in method.mean_at.items()},
                "average_precision": {
                    str(name): number(share, 6) for name, share in zip(names, method.precision, strict=True)
                },
                **compared((published or {}).get(method.name), {"all": [method.mean]}),
                "stages": {name: stage(name, s, database, queries) for name, s in method.seconds.items()},
            }
            for method in found.methods
        ],
        "unreadable": plain(found.unreadable),
        "config": plain(found.config),
    }


def write_report(
    found: Retrieval, folder: str | Path, *, published: Mapping[str, PublishedResult] | None = None
) -> Path:
    """Write results.json into a folder, made if missing; returns its path. The write is atomic."""
    path = Path(folder) / "results.json"
    write_json(path, summary(found, published))
    return path
