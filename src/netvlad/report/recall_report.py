"""The report of an evaluation by recall: a folder with its numbers, its curve and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.benchmarks.published import PublishedResult
from netvlad.evaluation.protocol_text import right, rules
from netvlad.evaluation.result import Evaluation, MethodResult
from netvlad.report.page import data_uri, evaluation_page, short_names
from netvlad.report.plots import recall_curves
from netvlad.report.published import HEADLINE, compared
from netvlad.report.values import number, plain, stage
from netvlad.runtime.files import write_json
from netvlad.types import IntArray


def write_report(
    evaluation: Evaluation,
    folder: str | Path,
    max_queries: int = 150,
    *,
    published: Mapping[str, PublishedResult] | None = None,
) -> Path:
    """Write results.json, recall.png and index.html into a folder, made if missing; returns the page's path.

    An older report there is replaced file by file, each atomically; other files are left alone. Without a judged query
    there is no curve. max_queries: number of queries that are shown with photos; all are on the map. published: as for
    `summary`. Raises OSError.
    """
    folder = Path(folder)
    facts = summary(evaluation, published)
    write_json(folder / "results.json", facts)
    curve = b""
    if facts["counts"]["judged"]:
        curve = recall_curves(evaluation, folder / "recall.png").read_bytes()
    else:
        (folder / "recall.png").unlink(missing_ok=True)  # of an older report
    rows, chosen = choose_queries(evaluation, max_queries)
    parts = {**_parts(facts, right(evaluation.protocol)), "chosen": escape(chosen), "curve": _curve(facts, curve)}
    return evaluation_page(evaluation, parts, rows, folder / "index.html")


def summary(evaluation: Evaluation, published: Mapping[str, PublishedResult] | None = None) -> dict[str, Any]:
    """The contents of results.json: everything but the rankings as plain numbers and strings, None where unknown.

    Recall is a share, 0..1, with N as a string (JSON has no other keys). `stages` are as from `values.stage`. `rules`
    is the protocol text. `groups` counts the judged queries of each group. published: name of a ranker -> the published
    result that it compares with, which is stated with the difference of this run.
    """
    matched, database, queries = evaluation.matched, len(evaluation.database), len(evaluation.queries)
    protocol = evaluation.protocol
    return {
        "protocol": plain(asdict(protocol)),
        "rules": rules(protocol),
        "counts": {
            "database": database,
            "queries": queries,
            "judged": int(np.sum(evaluation.judged)),
            "matched": int(np.sum(matched)),
            "without_match": queries - int(np.sum(matched)),
            "unreadable": len(evaluation.unreadable),
        },
        "groups": {name: int(np.sum(of_it & evaluation.judged)) for name, of_it in evaluation.groups.items()},
        "methods": [_method(m, (published or {}).get(m.name), database, queries) for m in evaluation.methods],
        "unreadable": plain(evaluation.unreadable),
        "config": plain(evaluation.config),
    }


def _method(method: MethodResult, row: PublishedResult | None, database: int, queries: int) -> dict[str, Any]:
    recalls = {"all": method.recall, **method.groups}
    firsts = {group: [recall.get(n, np.nan) for n in HEADLINE] for group, recall in recalls.items()}
    return {
        "name": method.name,
        "dim": method.dim,
        "recall": _shares(method.recall),
        "groups": {name: _shares(recall) for name, recall in method.groups.items()},
        **plain(compared(row, firsts)),
        "stages": {name: stage(name, seconds, database, queries) for name, seconds in method.seconds.items()},
    }


def _shares(recall: Mapping[int, float]) -> dict[str, float | None]:
    return {str(n): number(share, 6) for n, share in sorted(recall.items())}


def choose_queries(evaluation: Evaluation, limit: int) -> tuple[IntArray, str]:
    """Choose the queries that are shown with photos: (their rows, ascending; a text that explains the choice).

    Queries that every method has right at 1, that some have, that none has, and those without a true match get equal
    shares, at even steps through the list; a small group leaves room for the others.
    """
    matched, several = np.asarray(evaluation.matched, bool), len(evaluation.methods) > 1
    if len(matched) <= limit:
        return np.arange(len(matched)), f"All {len(matched):,} queries are shown with their photos."
    right = np.array([method.correct[:, :1].any(axis=1) for method in evaluation.methods])
    groups = {
        "right at 1 by every method" if several else "right at 1": matched & right.all(axis=0),
        "right at 1 by some methods only": matched & right.any(axis=0) & ~right.all(axis=0),
        "right at 1 by no method" if several else "wrong at 1": matched & ~right.any(axis=0),
        "without a true match in the database": ~matched,
    }
    members = {name: np.flatnonzero(group) for name, group in groups.items() if group.any()}
    left, picked = limit, {}
    for i, (name, rows) in enumerate(sorted(members.items(), key=lambda item: len(item[1]))):
        share = min(len(rows), left // (len(members) - i))
        left -= share
        picked[name] = rows[np.arange(share) * len(rows) // max(1, share)]
    counted = [f"{len(picked[name]):,} of the {len(rows):,} {name}" for name, rows in members.items()]
    return np.sort(np.concatenate(list(picked.values()))), (
        f"All {len(matched):,} queries are on the map; {limit:,} of them are shown here with photos, to keep "
        f"this file small: {', '.join(counted)}, each at even steps through the list. The groups get equal "
        "shares as far as they go, so the share of right ones among these photos is not the recall."
    )


def _parts(facts: dict[str, Any], right: str) -> dict[str, str]:
    """The HTML of the page's header; every text from outside is escaped here."""
    counts = facts["counts"]
    return {
        "title": "Where was this photo taken?"
        if counts["queries"] == 1
        else f"Where were these {counts['queries']:,} photos taken?",
        "lead": f"Each was matched against {counts['database']:,} photos whose positions are known. It "
        f"counts as found at N when one of its N best matches is right: {right}.",
        "facts": _tiles(facts),
        "table": _table(facts),
        "conventions": _conventions(facts),
        "unreadable": _unreadable(facts["unreadable"]),
        "config": _config(facts["config"]),
    }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _tiles(facts: dict[str, Any]) -> str:
    counts = facts["counts"]
    tiles = [(f"{counts['judged']:,}", "queries judged"), (f"{counts['database']:,}", "database photos")]
    best = max(facts["methods"], key=lambda method: method["recall"].get("1") or -1, default=None)
    if best and best["recall"].get("1") is not None:
        of = f"recall@1, {best['name']}" if len(facts["methods"]) > 1 else "recall@1"
        tiles.insert(0, (_percent(best["recall"]["1"]) + " %", of))
    tiles.append((f"{counts['without_match']:,}", "queries without a true match"))
    if counts["unreadable"]:
        tiles.append((f"{counts['unreadable']:,}", "photos that could not be read"))
    items = (f"<li><strong>{value}</strong>{escape(label)}</li>" for value, label in tiles)
    return f'<ul class="facts">{"".join(items)}</ul>'


def _table(facts: dict[str, Any]) -> str:
    methods = facts["methods"]
    best = {n: max((m["recall"].get(str(n)) or 0 for m in methods), default=0) for n in HEADLINE}
    lines = []
    for method in methods:
        cells = [f'<th scope="row">{escape(method["name"])}</th>']
        for n in HEADLINE:
            share = method["recall"].get(str(n))
            mark = ' class="best"' if len(methods) > 1 and share and share == best[n] else ""
            cells.append(f"<td{mark}>{_percent(share)}</td>")
        cells.append(f"<td>{method['dim'] or '–'}</td>")
        spans = (
            f"<span>{escape(name)} {t['seconds'] or 0:.3g} s, {t['ms_per_photo'] or 0:.3g} ms a photo</span>"
            for name, t in method["stages"].items()
        )
        lines.append(f'<tr>{"".join(cells)}<td class="stages">{"".join(spans) or "–"}</td></tr>')
        for group, recall in method["groups"].items():
            shares = "".join(f"<td>{_percent(recall.get(str(n)))}</td>" for n in HEADLINE)
            counted = f"{facts['groups'][group]:,} queries"
            lines.append(f'<tr><td>{escape(group)}, {counted}</td>{shares}<td></td><td class="stages"></td></tr>')
    heads = "".join(f'<th scope="col">recall@{n}, %</th>' for n in HEADLINE)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Recall and time of each method"><table>'
        f'<thead><tr><th scope="col">Method</th>{heads}<th scope="col">Dimension</th>'
        f'<th scope="col" class="stages">Time</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def _conventions(facts: dict[str, Any]) -> str:
    counts, rules = facts["counts"], facts["rules"]
    none, term = counts["without_match"], "Queries without any true match"
    entries = {
        **rules,
        term: f"{none:,} of {counts['queries']:,}; they {rules[term].rstrip('.')}, so {counts['judged']:,} queries are "
        "judged.",
        "Photos that could not be read": f"{counts['unreadable']:,}, left out before anything was counted."
        if counts["unreadable"]
        else "none.",
    }
    pairs = (f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in entries.items())
    return "<dl>" + "".join(pairs) + "</dl>"


def _unreadable(unreadable: dict[str, str]) -> str:
    if not unreadable:
        return ""
    names = short_names(list(unreadable))
    reasons = zip(names, unreadable.values(), strict=True)
    items = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in reasons)
    return f"<details><summary>Photos that could not be read</summary><ul>{items}</ul></details>"


def _config(config: dict[str, Any]) -> str:
    if not config:
        return ""
    text = escape(json.dumps(config, indent=2, ensure_ascii=False))
    return f"<details><summary>How to run this again</summary><pre>{text}</pre></details>"


def _curve(facts: dict[str, Any], png: bytes) -> str:
    if not png:
        return "<p>There is no curve: no query was judged.</p>"
    firsts = ", ".join(f"{m['name']} {_percent(m['recall'].get('1'))} %" for m in facts["methods"])
    alt = escape(f"Curves of recall@N against N. Recall@1: {firsts}.")
    return f'<img src="{data_uri("image/png", png)}" alt="{alt}">'
