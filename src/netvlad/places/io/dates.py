"""Dates that begin with the day or the month, which a column decides as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from netvlad.errors import PlacesError

if TYPE_CHECKING:
    from netvlad.places.values import Column

ORDERS = ("day-first", "month-first")
_DATE = re.compile(
    r"(?P<first>\d\d?)(?P<mark>[./-])(?P<second>\d\d?)(?P=mark)(?P<year>\d{4})"  # 12.03.2024, 3/12/2024
    r"(?:[T ,]\s*(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<rest>\d\d(?:[.,]\d+)?))?"  # 14:05, 14:05:33.25
    r"(?:\s*(?P<half>[AP])\.?M\.?)?)?"
    r"\s*(?P<offset>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
_LONGEST = 64  # characters


def year_first(column: Column, order: str | None, source: str, lines: Sequence[int]) -> Column:
    """`column` with dates such as 12.03.2024 14:05 written as 2024-03-12 14:05; other cells stay.

    order: "day-first" or "month-first"; None finds out: one date with a day above 12 decides for the whole column, and
    dates with full stops begin with the day, as everywhere where they are written so.
    Raises PlacesError where dates contradict each other, or nothing decides.
    """
    if isinstance(column, np.ndarray) and column.dtype != object:
        return column
    found = {
        row: date
        for row, cell in enumerate(column)
        if isinstance(cell, str) and len(cell) <= _LONGEST and (date := _DATE.fullmatch(cell.strip()))
    }
    if not found:
        return column
    order = order or _order(found, source, lines)
    written = list(column)
    for row, date in found.items():
        written[row] = _written(date, order)
    return written


def check_order(order: str | None) -> str | None:
    """The same. Raises PlacesError for what is no order."""
    if order is not None and order not in ORDERS:
        raise PlacesError(f"dates are {' or '.join(ORDERS)}, not {order!r}")
    return order


def _order(found: Mapping[int, re.Match[str]], source: str, lines: Sequence[int]) -> str:
    days = [row for row, date in found.items() if int(date["first"]) > 12 >= int(date["second"])]
    months = [row for row, date in found.items() if int(date["second"]) > 12 >= int(date["first"])]
    remedy = f"say which with --date-order {ORDERS[0]} or {ORDERS[1]} (date_order= in Python)"
    if days and months:
        one, other = (f"{found[rows[0]][0]} (line {lines[rows[0]]})" for rows in (days, months))
        raise PlacesError(
            f"its dates contradict each other: {one} begins with the day, {other} does not; {remedy}", path=source
        )
    if days or months:
        return ORDERS[0] if days else ORDERS[1]
    if {date["mark"] for date in found.values()} == {"."}:
        return ORDERS[0]
    row = next(iter(found))
    raise PlacesError(
        f"its dates may begin with the day or with the month, as {found[row][0]} (line {lines[row]}): {remedy}",
        path=source,
    )


def _written(date: re.Match[str], order: str) -> str:
    day, month = (date["first"], date["second"]) if order == ORDERS[0] else (date["second"], date["first"])
    text = f"{date['year']}-{int(month):02}-{int(day):02}"
    if date["hour"] is None:
        return text
    hour = int(date["hour"])
    if date["half"]:  # a 13 PM becomes hour 25, which is no time
        hour = hour % 12 + 12 * (date["half"].upper() == "P") if 1 <= hour <= 12 else 99
    return f"{text} {hour:02}:{date['minute']}:{(date['rest'] or '00').replace(',', '.')}{date['offset'] or ''}"
