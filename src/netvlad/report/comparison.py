"""Panels that figures draw and tables list, from evaluations and from published results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netvlad.benchmarks.published import PublishedResult
from netvlad.evaluation.result import Evaluation
from netvlad.evaluation.retrieval import Retrieval
from netvlad.report.published import HEADLINE

MAP = "mAP"


@dataclass(frozen=True)
class Line:
    """One method in one panel.

    at: N (or MAP, or a dimension) -> share, 0..1. published: whether it is a published result, and `of` which of the
    methods it compares with, "" none.
    """

    name: str
    at: Mapping[Any, float]
    published: bool = False
    of: str = ""


@dataclass(frozen=True)
class Panel:
    """Methods on one set of queries. measure: "recall", or MAP."""

    title: str
    lines: list[Line]
    measure: str = "recall"

    @property
    def has_numbers(self) -> bool:
        """Whether there is anything to draw."""
        return any(np.isfinite(share) for line in self.lines for share in line.at.values())


def panels_of(
    found: Evaluation | Retrieval,
    title: str,
    published: Sequence[PublishedResult] = (),
    rows: Mapping[str, PublishedResult] | None = None,
) -> list[Panel]:
    """A panel for all queries of an evaluation and one for each of its groups.

    published: the published results to draw. rows: name of a ranker -> the one that it compares with.
    """
    if isinstance(found, Retrieval):
        lines = [Line(m.name, {MAP: m.mean}) for m in found.methods]
        return [Panel(title, lines + _published(published, "all", rows or {}, (MAP,)), MAP)]
    panels = []
    for group in ("all", *found.groups):
        recalls = [(m.name, m.recall if group == "all" else m.groups[group]) for m in found.methods]
        lines = [Line(name, recall) for name, recall in recalls]
        judged = int(np.sum(found.judged if group == "all" else found.judged & found.groups[group]))
        queries = f"{judged:,} quer{'y' if judged == 1 else 'ies'}"
        name = title if group == "all" else f"{title}, {group}"
        panels.append(Panel(f"{name}\n{queries}", lines + _published(published, group, rows or {}, HEADLINE)))
    return panels


def published_panels(title: str, published: Sequence[PublishedResult], measure: str) -> list[Panel]:
    """The published numbers alone, a panel for each set of queries that any of them is about."""
    groups = list(dict.fromkeys(group for row in published for group in row.recalls))
    keys = (MAP,) if measure == MAP else HEADLINE
    return [
        Panel(title if group == "all" else f"{title}, {group}", _published(published, group, {}, keys), measure)
        for group in groups
    ]


def _published(
    published: Sequence[PublishedResult], group: str, rows: Mapping[str, PublishedResult], keys: Sequence[int | str]
) -> list[Line]:
    of = {row.label: name for name, row in rows.items()}
    return [
        Line(
            row.label, dict(zip(keys, (n / 100 for n in row.recalls[group]), strict=False)), True, of.get(row.label, "")
        )
        for row in published
        if group in row.recalls
    ]


def sweep_panels(
    panels: Sequence[Panel], dims: Mapping[str, tuple[str, int]], ns: Sequence[int] = HEADLINE
) -> list[Panel]:
    """Recall (or MAP) against the dimension: of the first panel of each evaluation one for each of `ns`.

    dims: name of a line in `panels` -> (model, dimension).
    """
    found = []
    for panel in panels:
        for key in (MAP,) if panel.measure == MAP else ns:
            at: dict[str, dict[int, float]] = {}
            for line in panel.lines:
                if line.name in dims and key in line.at:
                    model, dim = dims[line.name]
                    at.setdefault(model, {})[dim] = line.at[key]
            what = MAP if key == MAP else f"recall@{key}"
            first, _, rest = panel.title.partition("\n")
            lines = [Line(model, dict(sorted(shares.items()))) for model, shares in at.items()]
            found.append(Panel(f"{first}: {what}" + (f"\n{rest}" if rest else ""), lines, what))
    return found
