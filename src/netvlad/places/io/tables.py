"""Read a table file into named columns; `netvlad.places.io.columns` interprets them."""

from __future__ import annotations

import csv
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from netvlad.errors import NetvladError, PlacesError
from netvlad.places.io.columns import Raw
from netvlad.places.io.encodings import is_windows, marked_encoding
from netvlad.places.io.geojson import read_geojson
from netvlad.places.io.parquet import read_parquet
from netvlad.places.io.roles import roles
from netvlad.places.table import Skipped
from netvlad.runtime.addresses import is_address, read_address
from netvlad.runtime.files import refuse_irregular

if TYPE_CHECKING:
    from netvlad.places.values import Column

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".geoparquet", ".geojson", ".json")
MOST = 4 * 10**9  # bytes of a table as text: a hundred million rows
LONGEST_HEADING = 10**7  # characters


def read_table(path: str, given: Mapping[str, str] | None = None) -> Raw:
    """The columns of a .csv, .tsv, .parquet or .geojson file. Raises PlacesError if it cannot be read as such.

    given: role -> column, as in `roles`.
    """
    given = given or {}
    if is_address(path):
        return _read_copy(path, given)
    if path.lower().endswith("parquet"):
        refuse_irregular(path, error=PlacesError)
        return read_parquet(path, given)
    refuse_irregular(path, error=PlacesError, most=MOST)
    try:
        return _read_csv(path, given) if path.lower().endswith((".csv", ".tsv")) else read_geojson(path, given)
    except OSError as error:
        raise PlacesError(f"cannot be read ({error.strerror})", path=path) from None


def _read_copy(address: str, given: Mapping[str, str]) -> Raw:
    """The columns of a table at an address, by a copy of it."""
    with tempfile.TemporaryDirectory(prefix="netvlad-") as folder:
        copy = os.path.join(folder, address.rpartition("/")[2])
        try:
            with open(copy, "wb") as file:
                file.write(read_address(address, MOST))
            raw = read_table(copy, given)
        except OSError as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
            raise PlacesError(f"cannot be read ({reason})", path=address) from None
        except NetvladError as error:  # about the copy
            raise PlacesError(error.reason, path=address) from None
    return replace(raw, source=address, broken=[replace(skipped, source=address) for skipped in raw.broken])


def _read_csv(path: str, given: Mapping[str, str]) -> Raw:
    encoding = marked_encoding(path)
    try:
        return _read_text(path, given, encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8-sig" and is_windows(path):
            warnings.warn(f"{path} is no UTF-8 and is read as Windows-1252: do its names look right?", stacklevel=2)
            return _read_text(path, given, "cp1252")
        raise PlacesError(
            f"is not UTF-8 text ({error.reason} at byte {error.start} of {error.encoding}); save it as UTF-8", path=path
        ) from None


def _read_text(path: str, given: Mapping[str, str], encoding: str) -> Raw:
    """Raises UnicodeDecodeError for text in another encoding."""
    rows, lines, broken = [], [], []
    reader = None
    try:
        with open(path, encoding=encoding, newline="") as file:
            head = _heading(file, path)
            # the heading has no numbers, so its commas are not decimal ones
            delimiter = max(",;\t", key=head.count)
            spaced = f"{delimiter} " in head  # "path, lat, lon": blanks belong to the delimiter
            text = _Lines(file)
            reader = csv.reader(text, delimiter=delimiter, skipinitialspace=spaced)
            names = next(reader, [])
            roles(names, path, given)
            line = reader.line_num + 1
            for row in reader:
                if text.ended:  # a row that is whole is returned before the reader asks for another line
                    raise PlacesError(f"line {line}: a quote is opened and never closed", path=path)
                if len(row) > len(names) and not any(row[len(names) :]):
                    row = row[: len(names)]
                if len(row) == len(names):
                    rows.append(row)
                    lines.append(line)
                elif row:  # cut off, or an unquoted delimiter: cells have moved
                    broken.append(Skipped(path, line, f"{len(row)} cells where the heading has {len(names)}"))
                line = reader.line_num + 1
    except csv.Error as error:
        at = f"line {reader.line_num}: " if reader else ""
        hint = "; is a quote opened and not closed?" if "field limit" in str(error) else ""
        raise PlacesError(f"{at}{error}{hint}", path=path) from None
    cells: list[Column] = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    columns = dict(zip(names, cells, strict=True))
    return Raw(path, columns, lines, broken, decimal_comma=delimiter != ",", given=given)


class _Lines:
    """The lines of a file; `ended` says whether one was asked for after the last."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.ended = file, False

    def __iter__(self) -> Iterator[str]:
        yield from self.file
        self.ended = True


def _heading(file: TextIO, path: str) -> str:
    """The first line of a file, which is left at its start."""
    head = file.readline(LONGEST_HEADING)
    if len(head) == LONGEST_HEADING:
        raise PlacesError(f"its first line has {LONGEST_HEADING:,} characters or more: no heading", path=path)
    if "\0" in head:
        raise PlacesError("has NUL bytes in its heading: is it UTF-16? Save it as UTF-8", path=path)
    file.seek(0)
    return head
