"""The numbers of a comparison as Markdown and LaTeX tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from netvlad.report.comparison import MAP, Line, Panel
from netvlad.report.published import HEADLINE

TEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "°": r"$^\circ$",
    "→": r"$\to$",
    "–": "--",
}


def markdown(panels: Sequence[Panel], rules: Sequence[Mapping[str, str]] = ()) -> str:
    """A Markdown table, methods by panels, in percent; the best measured numbers in bold, published results in italics.

    rules: protocol text of each evaluation, written below the table.
    """
    heads = [f"{_title(panel)} {_head(key)}" for panel in panels for key in _keys(panel)]
    lines = [_row(["method", *heads]), _row(["---", *("--:" for _ in heads)])]
    for name, published, cells in _rows(panels):
        name = name.replace("|", "\\|")
        bold = [f"**{text}**" if best else text for text, best in cells]
        lines.append(_row([f"*{name} (published)*" if published else name, *bold]))
    for said in rules:
        lines += ["", *(f"- {term}: {words}" for term, words in said.items())]
    return "\n".join(lines) + "\n"


def latex(panels: Sequence[Panel], rules: Sequence[Mapping[str, str]] = ()) -> str:
    """The same as a LaTeX tabular that needs no package; the rules stand above it as comments."""
    lines = [f"% {term}: {words}" for said in rules for term, words in said.items()]
    columns = "|".join("r" * len(_keys(panel)) for panel in panels)
    lines += [f"\\begin{{tabular}}{{l|{columns}}}", "\\hline"]
    spans = [f"\\multicolumn{{{len(_keys(p))}}}{{c}}{{{escaped(_title(p))}}}" for p in panels]
    lines.append(" & ".join(["", *spans]) + r" \\")
    lines.append(" & ".join(["method", *(_head(k) for p in panels for k in _keys(p))]) + r" \\ \hline")
    for name, published, cells in _rows(panels):
        bold = [f"\\textbf{{{text}}}" if best else text.replace("–", "--") for text, best in cells]
        name = f"\\emph{{{escaped(name)} (published)}}" if published else escaped(name)
        lines.append(" & ".join([name, *bold]) + r" \\")
    return "\n".join([*lines, "\\hline", "\\end{tabular}"]) + "\n"


def escaped(text: str) -> str:
    """Text for LaTeX."""
    return "".join(TEX.get(letter, letter) for letter in text)


def _rows(panels: Sequence[Panel]) -> list[tuple[str, bool, list[tuple[str, bool]]]]:
    """(method, whether published, (number, whether it is the best measured one) of each column).

    A published result stands below the method that compares with it.
    """
    by_name: dict[tuple[bool, str], list[Line | None]] = {}
    for i, panel in enumerate(panels):
        for line in panel.lines:
            by_name.setdefault((line.published, line.name), [None] * len(panels))[i] = line
    best = [_best(panel, key) for panel in panels for key in _keys(panel)]
    measured = [name for published, name in by_name if not published]
    rows = []
    for (published, name), lines in by_name.items():
        shares = [
            line.at.get(key, np.nan) if line else np.nan
            for line, panel in zip(lines, panels, strict=True)
            for key in _keys(panel)
        ]
        cells = [
            (f"{100 * share:.1f}" if np.isfinite(share) else "–", not published and len(measured) > 1 and share == top)
            for share, top in zip(shares, best, strict=True)
        ]
        of = next((line.of for line in lines if line), "")
        # stable: measured ones in their order, each followed by what is published of it, then the rest
        at = measured.index(of if published else name) if (of in measured or not published) else len(measured)
        rows.append((at, published, name, cells))
    return [(name, published, cells) for at, published, name, cells in sorted(rows, key=lambda r: r[:2])]


def _best(panel: Panel, key: int | str) -> float:
    shares = [line.at.get(key, np.nan) for line in panel.lines if not line.published]
    return max((share for share in shares if np.isfinite(share)), default=np.inf)


def _keys(panel: Panel) -> tuple[int | str, ...]:
    return (MAP,) if panel.measure == MAP else HEADLINE


def _head(key: int | str) -> str:
    return MAP if key == MAP else f"R@{key}"


def _title(panel: Panel) -> str:
    return panel.title.partition("\n")[0]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
