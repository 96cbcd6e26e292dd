"""Messages and tables that the commands share."""

from __future__ import annotations

import csv
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netvlad.errors import NetvladError
from netvlad.runtime.counted import counted
from netvlad.runtime.files import atomic

if TYPE_CHECKING:
    from netvlad.places import Places

WHOLE_LIST = "; --unreadable FILE writes them all"


def say(text: str) -> None:
    """Print a message on stderr, so that stdout holds results only."""
    print(printable(text), file=sys.stderr, flush=True)


def advise_xfeat() -> None:
    """Say how to get XFeat, where re-ranking has to do without it."""
    from netvlad.features.local_features import best_kind
    from netvlad.features.xfeat_weights import REMEDY

    if best_kind() != "xfeat":
        say(f"re-ranks by RootSIFT; by XFeat it gains more: {REMEDY}")


def printable(text: str) -> str:
    """`text` with control characters and bytes that are no text as escapes: a name must not steer the terminal."""
    escaped = (c if c == "\n" or not unicodedata.category(c).startswith("C") else ascii(c)[1:-1] for c in text)
    return "".join(escaped)


def as_written(columns: str | None, date_order: str | None) -> dict[str, Any]:
    """How tables are to be read, for `read_places`. Raises NetvladError for columns that are no list of them."""
    from netvlad.places.io.roles import parse_columns

    return {"columns": parse_columns(columns) if columns is not None else None, "date_order": date_order}


def read_places(source: Path | str, strict: bool, left_out: dict[str, str] | None = None, **how: Any) -> Places:
    """Read places and list the rows that were left out. Raises NetvladError where no photo is left.

    left_out: receives path or row -> reason of those. how: as for `netvlad.read_places`.
    """
    from netvlad.places import read_places

    return checked(source, read_places(source, strict=strict, **how), left_out)


def checked(source: Path | str, places: Places, left_out: dict[str, str] | None = None) -> Places:
    """The places, after `tell_left_out`. Raises NetvladError where no photo is left."""
    tell_left_out(source, places, left_out)
    if not len(places):
        raise NetvladError("no photo with a position is left", path=source)
    return places


def tell_left_out(source: Path | str, places: Places, left_out: dict[str, str] | None = None) -> None:
    """List the rows that a reader left out, or could not read the whole of. left_out: as in `read_places`."""
    if left_out is not None:
        left_out.update({s.where: s.reason for s in places.skipped})
    rest = WHOLE_LIST if left_out is not None else ""
    tell(
        f"{source}: {counted(len(places.skipped), 'row was', 'rows were')} left out",
        [str(s) for s in places.skipped],
        rest=rest,
    )
    tell(
        f"{source}: {counted(len(places.notes), 'row lacks', 'rows lack')} a heading or time that can be read",
        [str(s) for s in places.notes],
    )


def tell_unreadable(unreadable: Mapping[str, str]) -> None:
    """List photos that could not be read, with the reason."""
    lines = [f"{path}: {why}" for path, why in unreadable.items()]
    tell(f"{counted(len(unreadable), 'photo')} could not be read", lines, rest=WHOLE_LIST)


def write_unreadable(unreadable: Mapping[str, str], file: Path | None) -> None:
    """Write photos that could not be read and the reasons as CSV; nothing where no file is given."""
    if file is not None:
        with atomic(file) as whole, open(whole, "w", newline="", encoding="utf-8", errors="surrogateescape") as opened:
            csv.writer(opened).writerows([("path", "reason"), *unreadable.items()])


def tell(headline: str, lines: list[str], most: int = 20, rest: str = "") -> None:
    """Print a headline and up to `most` lines on stderr; nothing where there are no lines.

    rest: what to say where lines are left out.
    """
    if lines:
        more = [f"  ... and {len(lines) - most} more{rest}"] if len(lines) > most else []
        shown = [f"  {line}".replace("\n", "\\n") for line in lines[:most]]  # names may hold line breaks
        say("\n".join([headline + ":", *shown, *more]))


def table(columns: list[str], rows: list[list[str]], title: str | None = None) -> None:
    """Print a table on stdout; numbers are right-aligned."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    for i, name in enumerate(columns):
        numeric = all(_is_number(row[i]) for row in rows)
        grid.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(printable, row))
    console = Console()
    # piped into a file or another program there is no width to fit
    Console(width=None if console.is_terminal else 200, highlight=False, markup=False).print(grid)


def percent(share: float | None) -> str:
    """A share in percent, with a dash for none."""
    return "-" if share is None else f"{100 * share:.1f}"


def recall_table(facts: dict[str, Any]) -> None:
    """Print recall@1/5/10 of all queries and of each group, with published results, and times.

    facts: as from `recall_report.summary`.
    """
    rows = []
    for method in facts["methods"]:
        times = ", ".join(_stage(name, stage) for name, stage in method["stages"].items())
        published = method.get("published") or {"row": "", "percent": {}, "off": {}}
        for group, recall in {"all": method["recall"], **method.get("groups", {})}.items():
            shares = [percent(recall.get(str(n))) for n in (1, 5, 10)]
            whole = group == "all"
            rows.append([method["name"] if whole else "", str(method["dim"] or "-"), group, *shares, times * whole])
            rows += _published_row(published, group)
    plain = all(row[2] == "all" and not row[0].startswith(" ") for row in rows)
    columns = ["method", "dim", "queries", "R@1", "R@5", "R@10", "time"]
    table(columns[:2] + columns[3:] if plain else columns, [r[:2] + r[3:] if plain else r for r in rows])
    print(_counted(facts))


def map_table(facts: dict[str, Any]) -> None:
    """Print mean average precision and mP@k. facts: as from `retrieval_report.summary`."""
    rows = []
    for method in facts["methods"]:
        times = ", ".join(_stage(name, stage) for name, stage in method["stages"].items())
        at = [percent(share) for share in method["precision_at"].values()]
        rows.append([method["name"], str(method["dim"] or "-"), percent(method["map"]), *at, times])
        for row in _published_row(method.get("published") or {"percent": {}}, "all"):
            rows.append([*row[:2], row[3], *["-"] * len(at), row[-1]])
    table(["method", "dim", "mAP", *(f"mP@{k}" for k in facts["methods"][0]["precision_at"]), "time"], rows)
    counts = facts["counts"]
    print(
        f"{counts['judged']} of {counted(counts['queries'], 'query', 'queries')} judged against "
        f"{counted(counts['database'], 'photo')}; "
        f"{counted(counts['unreadable'], 'photo')} unreadable"
    )


def _published_row(published: dict[str, Any], group: str) -> list[list[str]]:
    if group not in published["percent"]:
        return []
    numbers = [f"{n:.1f}" for n in published["percent"][group]]
    off = ", ".join(f"{n:+.1f}" for n in published["off"].get(group, []) if n is not None)
    name = f"  published: {published['row']}"
    return [[name, "-", group, *numbers, *["-"] * (3 - len(numbers)), f"this run is off by {off}" if off else ""]]


def _counted(facts: dict[str, Any]) -> str:
    counts, protocol = facts["counts"], facts["protocol"]
    fate = "kept in" if protocol["unmatched"] == "keep" else "left out of"
    how = "the true ones listed" if protocol["radius"] is None else f"radius {protocol['radius']:g} m"
    return (
        f"{counts['judged']} of {counted(counts['queries'], 'query', 'queries')} judged against "
        f"{counted(counts['database'], 'photo')}, {how}; "
        f"{counts['without_match']} without a true match are {fate} the denominator; "
        f"{counted(counts['unreadable'], 'photo')} unreadable"
    )


def print_rules(rules: Mapping[str, str]) -> None:
    """Print a protocol text."""
    for term, text in rules.items():
        print(f"{term}: {text}")


def _stage(name: str, stage: dict[str, Any]) -> str:
    each = stage.get("ms_per_photo")
    return f"{name} {stage['seconds']:.1f} s" + (f" ({each:.1f} ms a photo)" if each is not None else "")


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit() or text in ("-", "")
