"""Cells of a table, as people write them, turned into numbers, times and text.

Each function takes one column (a list of anything, or an array) and returns an array, together with row -> reason for
cells that cannot be read. An empty cell is unknown, never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from netvlad.types import Array, BoolArray, FloatArray

if TYPE_CHECKING:
    Column: TypeAlias = Sequence[Any] | Array
    Cells: TypeAlias = Column | str | float | datetime | None  # a column, or one value for every row

_EMPTY = {"", "nan", "na", "n/a", "null", "none", "-", "nat"}
_TIME = re.compile(
    r"(\d{4})([-:/.]?)(\d\d)\2(\d\d)"  # 2025-12-22, 2025:12:22, 20251222
    r"(?:[T _-]?(\d\d?):?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?)?"  # 09:52:57.25, 0952
    r"\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
_MONTH = re.compile(r"((?:19|20)\d\d)-?(0[1-9]|1[0-2])")
_EPOCH = datetime(1970, 1, 1)
_YEARS = np.array(["0001-01-01", "9999-12-31T23:59:59"], "datetime64[s]")  # what datetime holds
_NO_NUMBERS = {bool, np.bool_, list, tuple, dict, bytes}  # though numpy takes them for some
_LONGEST_TIME = 64  # characters


def some(lines: Sequence[str], most: int = 3, between: str = "; ") -> str:
    """Join the first few lines: "row 3: no position; row 9: ...; row 11: ...; and 12 more"."""
    return between.join(lines[:most]) + (f"{between}and {len(lines) - most} more" if len(lines) > most else "")


def shown(cell: Any) -> str:
    """A cell for a message: text and numbers as Python writes them, the beginning of long ones, or a kind."""
    if isinstance(cell, str | bytes):
        return repr(cell[:100]) + "..." * (len(cell) > 100)
    if isinstance(cell, list | tuple | dict):
        return f"(a {type(cell).__name__} of {len(cell)})"
    return repr(cell)


def is_empty(cell: Any) -> bool:
    """Whether a cell states nothing."""
    if isinstance(cell, str):
        return cell.strip().lower() in _EMPTY
    return cell is None or (isinstance(cell, float | np.floating) and bool(np.isnan(cell)))


def texts(column: Column) -> Array:
    """Object array of str: an empty cell becomes "", and 7.0 (an integer in a column with gaps) becomes "7"."""
    out = np.empty(len(column), object)
    out[:] = [cell if isinstance(cell, str) else _text(cell) for cell in column]
    return out


def _text(cell: Any) -> str:
    if is_empty(cell):
        return ""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def floats(column: Column, decimal_comma: bool = False, what: str = "value") -> tuple[Array, dict[int, str]]:
    """float64 array, NaN where a cell is empty or not a number."""
    if not _NO_NUMBERS & set(map(type, column)):
        try:
            return np.array(column, np.float64), {}
        except (TypeError, ValueError, OverflowError):  # an empty cell, or a word, among the numbers
            pass
    out, bad = np.full(len(column), np.nan), dict[int, str]()
    for row, cell in enumerate(column):
        if is_empty(cell):
            continue
        try:
            if type(cell) in _NO_NUMBERS:
                raise TypeError
            out[row] = float(cell.replace(",", ".") if decimal_comma and isinstance(cell, str) else cell)
        except (TypeError, ValueError, OverflowError):
            bad[row] = f"{what} {shown(cell)} is not a number"
    return out, bad


def headings(column: Column, decimal_comma: bool = False) -> tuple[FloatArray, dict[int, str]]:
    """float32 degrees, 0 <= heading < 360; -180..180 is understood as well."""
    values, bad = floats(column, decimal_comma, "heading")
    for row in np.flatnonzero(np.abs(values) > 360):
        bad[int(row)] = f"heading {values[row]:g} is outside 0..360 degrees"
        values[row] = np.nan
    turned = np.mod(values, 360).astype(np.float32)
    return np.where(turned == 360, np.float32(0), turned), bad


def times(column: Column) -> tuple[Array, BoolArray, dict[int, str]]:
    """datetime64[s] array (NaT unknown), and bool array, True where the cell states an offset and the time is UTC.

    Formats: ISO 8601 (with or without separators), EXIF ("2025:12:22 09:52:57"), Unix seconds or
    milliseconds (UTC by definition), datetime and date. A date alone becomes noon of that day, a month alone
    noon of its first day, so that neither counts as night.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        seconds = column.astype("datetime64[s]")
        far = ~np.isnat(seconds) & ((seconds < _YEARS[0]) | (seconds > _YEARS[1]))
        bad = {int(row): f"time {seconds[row]} is outside the years 1 to 9999" for row in np.flatnonzero(far)}
        return np.where(far, np.datetime64("NaT", "s"), seconds), np.zeros(len(column), bool), bad
    bad = {}
    out, utc = np.full(len(column), "NaT", "datetime64[s]"), np.zeros(len(column), bool)
    for row, cell in enumerate(column):
        if is_empty(cell):
            continue
        found = moment(cell)
        if found is None:
            bad[row] = f"time {shown(cell)} is none (2025-12-22T09:52:57+02:00 would be, or Unix seconds)"
        elif found[0] is not None:
            out[row], utc[row] = np.datetime64(found[0], "s"), found[1]
    return out, utc, bad


def moment(cell: Any) -> tuple[datetime | None, bool] | None:
    """(time, whether it is UTC) of one cell; (None, False) for EXIF's blanks and zeros; None where it is no time."""
    if isinstance(cell, np.datetime64):
        found = cell.astype("datetime64[s]").item()
        return None if isinstance(found, int) else (found, False)  # an integer is beyond datetime's years
    if isinstance(cell, datetime):
        if cell.tzinfo is None:
            return cell, False
        try:
            return cell.astimezone(timezone.utc).replace(tzinfo=None), True
        except OverflowError:  # in the first or the last hours of datetime's years
            return None
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day, 12), False
    text = _text(cell).strip().strip("\0")
    if not text.strip("0:-/. T"):
        return None, False
    if len(text) > _LONGEST_TIME:
        return None
    for read in (_calendar, _unix):
        with suppress(ValueError, OverflowError):  # the 31st of February, a word
            if found := read(text):
                return found
    return None


def _calendar(text: str) -> tuple[datetime, bool] | None:
    if first := _MONTH.fullmatch(text):
        return datetime(int(first[1]), int(first[2]), 1, 12), False
    found = _TIME.fullmatch(text)
    # ten digits or more are Unix time unless they read as date and time down to the minute
    if not found or (text.isdigit() and len(text) not in (8, 12, 14)):
        return None
    year, _, month, day, hour, minute, second, offset = found.groups()
    if hour is None:
        return datetime(int(year), int(month), int(day), 12), False
    # datetime has no second 60, a leap second
    when = datetime(int(year), int(month), int(day), int(hour), int(minute), min(int(second or 0), 59))
    if offset is None:
        return when, False
    return when - offset_of(offset), True


def offset_of(text: str) -> timedelta:
    """The offset from UTC that "+02:00", "-0330" or "Z" states. Raises ValueError for anything else."""
    if text.upper() in ("Z", "UTC", "GMT"):
        return timedelta(0)
    found = re.fullmatch(r"([+-])([01]\d):?([0-5]\d)?", text)
    if not found:
        raise ValueError(f"{text!r} is no offset from UTC")
    size = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return -size if found[1] == "-" else size


def _unix(text: str) -> tuple[datetime, bool] | None:
    seconds = float(text)
    if abs(seconds) >= 1e11:  # as seconds, past the year 5000
        seconds /= 1000
    # a number below 1973 is more likely a frame or a year than a time
    return (_EPOCH + timedelta(seconds=int(seconds)), True) if seconds >= 1e8 else None
