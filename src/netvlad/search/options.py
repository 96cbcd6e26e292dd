"""What a search is wanted to be: exact or compressed, how good, and in how much memory."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from netvlad.errors import NetvladError

KINDS = ("auto", "exact", "compressed")
EXACT_ROWS = 200_000  # up to so many vectors "auto" searches exactly: 200 MB of 512 numbers, some 20 ms a question


@dataclass(frozen=True)
class SearchOptions:
    """kind: "auto" (exact while there are few vectors), "exact" or "compressed".

    recall: share of the 10 nearest vectors that a compressed search is to find. memory: bytes that the search may hold
    in memory, None for what is best. Raises NetvladError for values that make no sense.
    """

    kind: str = "auto"
    recall: float = 0.95
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise NetvladError(f"{self.kind!r} is no kind of search; there are {', '.join(KINDS)}")
        if not 0 < self.recall < 1:
            raise NetvladError(f"a recall lies between 0 and 1, as 0.95 does; got {self.recall:g}")
        if self.memory is not None and self.memory <= 0:
            raise NetvladError(f"a search needs more than {self.memory} bytes of memory")

    def compresses(self, rows: int, dim: int) -> bool:
        """Whether a search over `rows` vectors of `dim` numbers is a compressed one."""
        if self.kind != "auto":
            return self.kind == "compressed"
        return rows > EXACT_ROWS or (self.memory is not None and 2 * dim * rows > self.memory and rows >= 1000)

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> SearchOptions:
        """What `to_dict` gave. Raises ValueError for anything else."""
        if not isinstance(data, dict) or set(data) != {"kind", "recall", "memory"}:
            raise ValueError("does not state the kind, recall and memory of a search")
        kind, recall, memory = data["kind"], data["recall"], data["memory"]
        number = isinstance(recall, int | float) and not isinstance(recall, bool)
        if not isinstance(kind, str) or not number or not (memory is None or type(memory) is int):
            raise ValueError("has a kind, recall or memory of a search of another type")
        try:
            return cls(kind, float(recall), memory)
        except NetvladError as e:
            raise ValueError(str(e)) from e


def parse_memory(text: str) -> int:
    """Bytes of a text such as 2GB, 500 MB, 1.5GiB or 1000000. Raises NetvladError."""
    units = {"": 1, "b": 1, **{f"{u}b": 1000**i for i, u in enumerate("kmgt", 1)}}
    units |= {f"{u}ib": 1024**i for i, u in enumerate("kmgt", 1)}
    stripped = text.strip().lower()
    number = stripped.rstrip("abcdefghijklmnopqrstuvwxyz ")
    try:
        size = float(number) * units[stripped[len(number) :].strip()]
    except (KeyError, ValueError):
        size = math.nan
    if not 0 < size < 1 << 60:
        raise NetvladError(f"{text!r} is no amount of memory; write 500MB or 2GB")
    return int(size)
