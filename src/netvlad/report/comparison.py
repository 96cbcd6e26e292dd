"""Methods side by side: what a figure draws and a table lists, from evaluations and from published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netvlad.evaluation.result import Evaluation
from netvlad.evaluation.retrieval import Retrieval
from netvlad.report.published import HEADLINE, Published

MAP = "mAP"


@dataclass(frozen=True)
class Line:
    """One method in one panel. at: N (or MAP, or a dimension) -> share, 0..1. published: from a paper, and `of` which
    of the compared methods it speaks, "" of none."""

    name: str
    at: Mapping
    published: bool = False
    of: str = ""


@dataclass(frozen=True)
class Panel:
    """Methods on one set of queries. measure: "recall", or MAP."""

    title: str
    lines: list[Line]
    measure: str = "recall"


def panels_of(
    found: Evaluation | Retrieval, title: str, published: Published, rows: Mapping[str, str | None], every: bool = False
) -> list[Panel]:
    """A panel for all queries of an evaluation and one for each of its groups.

    rows: method -> the row of `published` that speaks of it; every: draw the other rows too.
    """
    if isinstance(found, Retrieval):
        lines = [Line(m.name, {MAP: m.mean}) for m in found.methods]
        return [Panel(title, lines + _published(published, "all", rows, every, (MAP,)), MAP)]
    panels = []
    for group in ("all", *found.groups):
        recalls = [(m.name, m.recall if group == "all" else m.groups[group]) for m in found.methods]
        lines = [Line(name, recall) for name, recall in recalls]
        judged = int(np.sum(found.judged if group == "all" else found.judged & found.groups[group]))
        queries = f"{judged:,} quer{'y' if judged == 1 else 'ies'}"
        name = title if group == "all" else f"{title}, {group}"
        panels.append(Panel(f"{name}\n{queries}", lines + _published(published, group, rows, every, HEADLINE)))
    return panels


def published_panels(title: str, published: Published, measure: str) -> list[Panel]:
    """The published numbers alone, a panel for each set of queries that any row speaks of."""
    groups = list(dict.fromkeys(group for row in published.values() for group in row))
    keys = (MAP,) if measure == MAP else HEADLINE
    return [
        Panel(title if group == "all" else f"{title}, {group}", _published(published, group, {}, True, keys), measure)
        for group in groups
    ]


def _published(published: Published, group: str, rows: Mapping, every: bool, keys: Sequence) -> list[Line]:
    of = {row: method for method, row in rows.items() if row}
    return [
        Line(name, {key: share / 100 for key, share in zip(keys, row[group], strict=False)}, True, of.get(name, ""))
        for name, row in published.items()
        if group in row and (every or name in of)
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
