"""What tells the rows of a table apart from any others, without reading again the checksums of files that stay."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from netvlad.maps.rows import SUMS
from netvlad.runtime.files import read_sealed, write_sealed
from netvlad.types import Array

FACTORS = {"place_sum": 0x9E3779B97F4A7C15, "vector_sum": 0xC2B2AE3D27D4EB4F}  # odd: no row is lost by multiplying
WORD = 1 << 64
LARGE = 100_000  # rows of a table from which on digests are kept in a file: 30 ms to read their checksums


class Digest(NamedTuple):
    """Of consecutive rows: their number, and a polynomial of their checksums for each of SUMS.

    The digests of two parts of a table give that of both (`+`), so that a part which stays is read once.
    """

    rows: int = 0
    places: int = 0
    vectors: int = 0

    def __add__(self, later: Any) -> Digest:
        before = zip(self[1:], later[1:], FACTORS.values(), strict=True)
        return Digest(self.rows + later.rows, *((a * pow(p, later.rows, WORD) + b) % WORD for a, b, p in before))

    @classmethod
    def of(cls, columns: dict[str, Array]) -> Digest:
        """Of rows with these checksums, uint64 (n,) under the names in SUMS."""
        return cls(len(columns[SUMS[0]]), *(_polynomial(columns[name], factor) for name, factor in FACTORS.items()))


def _polynomial(values: Array, factor: int) -> int:
    powers = np.full(len(values), factor, np.uint64)
    powers[:1] = 1
    mixed = values ^ (values >> np.uint64(32))  # a product loses what its highest bits say
    return int((mixed * np.multiply.accumulate(powers)[::-1]).sum(dtype=np.uint64))


class Fingerprints:
    """Fingerprints of the first rows of a table. `file` keeps the digest of each of the files of a large one.

    A file of digests that is lost or damaged only costs the time to read the checksums again.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, Digest] = {}

    def of(self, table: Any, map_id: str, rows: int) -> bytes:
        """16 bytes that tell the first `rows` rows of a Lance table with checksums apart from any others."""
        import xxhash

        found = self._digest(table, rows)
        numbers = b"".join(number.to_bytes(8, "little") for number in found)
        return xxhash.xxh3_128_digest(map_id.encode() + numbers)

    def _digest(self, table: Any, rows: int) -> Digest:
        total, used, fresh = Digest(), {}, False
        for fragment in table.get_fragments():
            left = rows - total.rows
            if left <= 0:
                break
            name = _name(fragment.metadata)
            if fragment.count_rows() > left:
                total += _read(fragment, left)
                break
            if name not in self._known and not fresh:
                self._known |= self._kept()
            fresh |= name not in self._known
            used[name] = self._known[name] if name in self._known else _read(fragment, None)
            total += used[name]
        self._known |= used
        if fresh and rows >= LARGE and rows == table.count_rows() and table.latest_version == table.version:
            with suppress(OSError):  # on a read-only disk they are read each time
                write_sealed(self.file, {name: list(digest) for name, digest in used.items()})
        return total

    def _kept(self) -> dict[str, Digest]:
        try:
            return {name: Digest(*numbers) for name, numbers in read_sealed(self.file).items()}
        except (OSError, ValueError, TypeError):
            return {}


def _name(part: Any) -> str:
    """A part of a table by its files, whose names are given once, and by the rows of it that are gone."""
    gone = part.deletion_file
    removed = "" if gone is None else f"{gone.read_version}-{gone.id}"
    return "|".join([*sorted(file.path for file in part.files), removed])


def _read(fragment: Any, rows: int | None) -> Digest:
    found = fragment.to_table(columns=list(SUMS), limit=rows)
    return Digest.of({name: found.column(name).to_numpy() for name in SUMS})
