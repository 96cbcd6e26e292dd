"""What a long run has found so far: a file that grows, and a folder that is there only until the run is done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import xxhash
from typing_extensions import Self

from netvlad.runtime.locks import only_writer
from netvlad.types import Array

KEY = 16  # bytes


def content_key(*parts: bytes | Array) -> bytes:
    """A key of `KEY` bytes for bytes and arrays: equal for equal contents and shapes alone."""
    digest = xxhash.xxh3_128()
    for part in parts:
        if isinstance(part, bytes):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        else:
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.digest()


class KeptRows:
    """Rows of `width` numbers by key, in a file that is appended to; what a killed run left goes on being of use.

    about: what rows depend on. A file about something else begins anew, and so does one from where it is damaged or
    cut off. The file is held open: use it as a context. One process at a time writes. Raises OSError.
    """

    def __init__(self, file: Path, about: str, width: int, dtype: Any = np.float32) -> None:
        kind = np.dtype([("key", f"V{KEY}"), ("row", dtype, (width,)), ("sum", np.uint64)])
        self._kind, self._at = kind, dict[bytes, int]()
        head = json.dumps({"format": 1, "about": about, "width": width, "dtype": np.dtype(dtype).str}).encode() + b"\n"
        self._file = open(file, "a+b")  # noqa: SIM115  closed by `close`
        self._file.seek(0)
        self._end = len(head)
        if self._file.read(len(head)) != head:
            self._file.truncate(0)
            self._file.write(head)
        while len(data := self._file.read(kind.itemsize)) == kind.itemsize and _sum(data) == data[-8:]:
            self._at[data[:KEY]] = self._end
            self._end += kind.itemsize
        self._file.truncate(self._end)

    def __len__(self) -> int:
        return len(self._at)

    def get(self, key: bytes) -> Array | None:
        """The row (width,) of `key`; None where there is none."""
        if key not in self._at:
            return None
        self._file.seek(self._at[key])
        row: Array = np.frombuffer(self._file.read(self._kind.itemsize), self._kind)["row"][0]
        return row

    def put(self, key: bytes, row: Array) -> None:
        """Keep a row (width,) and hand it to the system, so that it outlives this process."""
        record = np.zeros(1, self._kind)
        record["key"], record["row"] = np.void(key), row
        data = record.tobytes()[:-8]
        self._file.write(data + _sum(data + bytes(8)))
        self._file.flush()
        self._at[key], self._end = self._end, self._end + self._kind.itemsize

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextmanager
def kept_until_done(folder: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """Hold `folder`, as an earlier run about the same left it, or else empty; it goes when the block ends well.

    Raises NetvladError while another process holds it.
    """
    with only_writer(folder):
        card = folder / "about.json"
        if not card.is_file() or card.read_text(encoding="utf-8") != _text(about):
            for old in folder.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
                elif old.name != ".lock":
                    os.remove(old)
            card.write_text(_text(about), encoding="utf-8")
        yield folder
    shutil.rmtree(folder)


def _text(about: Mapping[str, Any]) -> str:
    return json.dumps(about, sort_keys=True)


def _sum(data: bytes) -> bytes:
    return xxhash.xxh3_64(data[:-8]).digest()
