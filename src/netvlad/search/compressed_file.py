"""The files of a compressed search: codes and what was measured in one, vectors beside it in another."""

from __future__ import annotations

import base64
import json
import tempfile
import uuid
import weakref
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.search.compressed_codes import CompressedVectors
from netvlad.search.options import SearchOptions
from netvlad.search.search_file import END, VectorSource, sealed_fingerprint, write_sealed_file
from netvlad.search.tuning import Tuning
from netvlad.search.vector_file import VectorFile
from netvlad.types import IntArray

if TYPE_CHECKING:
    from filelock import FileLock

FORMAT = "netvlad compressed 1"


def lock_vectors(file: Path, source: VectorSource) -> FileLock | None:
    """A lock, held, for making vectors beside the search file `file`; waits while another process makes them.

    None where nothing is to be written there: on a read-only disk, or while a later version of the rows is there.
    """
    from filelock import FileLock

    lock = FileLock(file.with_name(".search.vectors.lock"))
    try:
        if source.is_newest():
            lock.acquire()
            return lock
    except OSError:
        pass
    return None


def new_vector_file(file: Path, dim: int, private: bool) -> VectorFile:
    """An empty file of vectors beside the search file `file`; private: in a temporary folder, which goes with it."""
    if not private:
        return VectorFile.create(file.with_name(f"search-{uuid.uuid4().hex[:12]}.vectors"), dim)
    folder = tempfile.TemporaryDirectory(prefix="netvlad-", ignore_cleanup_errors=True)
    made = VectorFile.create(Path(folder.name) / "search.vectors", dim)
    weakref.finalize(made, folder.cleanup)
    return made


def remove_vectors(folder: Path, kept: Path | None = None) -> None:
    """Remove the files of vectors in `folder` but for `kept`: no search file names them any more."""
    for old in folder.glob("search-*.vectors"):
        if old != kept:
            with suppress(OSError):  # Windows keeps what another process has open
                old.unlink()


def write_compressed(file: Path, source: VectorSource, state: CompressedVectors, options: SearchOptions) -> bool:
    """Write codes and measurements into `file`; the vectors are on the disk already. Returns whether it was written."""
    import faiss

    if state.vectors.file.parent != file.parent:
        return False
    about = {
        "format": FORMAT,
        "options": options.to_dict(),
        "tuning": state.tuning.to_dict(),
        "made_for": state.made_for,
        "each": state.each,
        "memory": state.memory,
        "vectors": state.vectors.file.name,
        "stored": state.vectors.rows,
        "gone": _packed(state.gone, state.vectors.rows),
    }

    def write(path: Path) -> None:
        faiss.write_index(state.codes, str(path))
        with open(path, "ab") as opened:
            text = json.dumps(about).encode()
            opened.write(text + len(text).to_bytes(8, "little"))

    return write_sealed_file(file, source, state.rows, write)


def read_compressed(file: Path, source: VectorSource, options: SearchOptions) -> tuple[CompressedVectors | None, str]:
    """What `file` holds, or None and the reason why it cannot serve `source`; no reason where no file is there."""
    import faiss

    if not file.exists():
        return None, ""
    try:
        written = sealed_fingerprint(file)
        if written is None:
            return None, "is damaged (its checksum differs)"
        about = read_about(file)
        if about is None or SearchOptions.from_dict(about["options"]) != options:
            return None, "is of another kind of search"
        gone = _unpacked(about["gone"], about["stored"])
        codes = faiss.read_index(str(file))
        vectors = VectorFile(file.with_name(about["vectors"]), source.dim, about["stored"])
        tuning = Tuning.from_dict(about["tuning"])
        state = CompressedVectors(codes, vectors, gone, tuning, about["made_for"], about["each"])
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as e:
        return None, f"cannot be read ({type(e).__name__})"
    if codes.d != source.dim or codes.ntotal != state.vectors.rows:
        return None, "is not the search file of this index"
    if state.rows > len(source):
        return None, f"covers {state.rows} photos where the table holds {len(source)}"
    if written != source.fingerprint(state.rows):
        return None, "is not of the photos in the table"
    return state, ""


def read_about(file: Path) -> dict[str, Any] | None:
    """What a compressed search file says of itself; None for other files. Raises OSError, ValueError."""
    with open(file, "rb") as opened:
        size = opened.seek(0, 2)
        if size < END + 8:
            return None
        opened.seek(size - END - 8)
        length = int.from_bytes(opened.read(8), "little")
        if not 0 < length <= size - END - 8:
            return None
        opened.seek(size - END - 8 - length)
        text = opened.read(length)
    if not text.startswith(b"{"):
        return None
    about = json.loads(text)
    return about if isinstance(about, dict) and about.get("format") == FORMAT else None


def _packed(gone: IntArray, rows: int) -> str:
    mask = np.zeros(rows, bool)
    mask[gone] = True
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes())).decode()


def _unpacked(text: str, rows: int) -> IntArray:
    """The ascending rows that `_packed` was given. Raises ValueError."""
    try:
        bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    except zlib.error as e:
        raise ValueError(f"has garbled rows ({e})") from e
    return np.flatnonzero(np.unpackbits(bits, count=rows)).astype(np.int64)
