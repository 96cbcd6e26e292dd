"""Arrays and a card in a folder: whole or not at all, and refused when they are not what was written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from netvlad import __version__
from netvlad.errors import PlaceIndexError
from netvlad.runtime.files import atomic, flush, sha256, write_json
from netvlad.runtime.locks import only_writer

FORMAT = 1
PREFIX = "arrays-"  # of the file, before its checksum


def save_arrays(folder: str | os.PathLike, arrays: dict[str, np.ndarray], *, kind: str, facts: dict) -> Path:
    """Write `arrays` as safetensors and card.json, which names that file, its checksum, the `kind` and the `facts`.

    The card is written last and in one step: until then what the folder held before is what it holds. Both are on the
    disk when this returns. Raises PlaceIndexError for a folder that holds something else, NetvladError for one that
    another process is writing.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and _only_ours(folder, kind)):
        raise PlaceIndexError(f"{folder} is there already and is not a {kind}; choose another folder")
    with only_writer(folder):
        for left in folder.glob(".*.tmp"):  # by a process that was killed
            left.unlink()
        file, checksum = _write(folder, arrays)
        card = {"format": FORMAT, "kind": kind, **facts, "file": file.name, "checksum": checksum}
        write_json(folder / "card.json", {**card, "netvlad": __version__})
        flush(folder / "card.json", folder)
        for other in folder.glob(f"{PREFIX}*.safetensors"):
            if other != file:
                other.unlink()
    return folder


def _write(folder: Path, arrays: dict[str, np.ndarray]) -> tuple[Path, str]:
    """The file of the arrays, named after its checksum, and that."""
    from safetensors.numpy import save_file

    unnamed = folder / ".arrays"
    with atomic(unnamed) as temporary:
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, temporary)
        checksum = sha256(temporary)
    file = folder / f"{PREFIX}{checksum[:16]}.safetensors"
    os.replace(unnamed, file)
    flush(file)
    return file, checksum


def read_arrays(folder: str | os.PathLike, *, kind: str) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays and the card that `save_arrays` wrote. Raises PlaceIndexError where they are missing or broken."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    card = read_card(folder)
    if (card.get("kind"), card.get("format")) != (kind, FORMAT):
        found = f"a {card.get('kind')} of format {card.get('format')}"
        raise PlaceIndexError(f"{folder}: is {found}; a {kind} of format {FORMAT} is wanted")
    file = folder / str(card.get("file"))
    try:
        if sha256(file) != card.get("checksum"):
            raise PlaceIndexError(f"{file}: is not the file that card.json describes (checksum differs)")
        return load_file(file), card
    except (OSError, SafetensorError) as e:
        raise PlaceIndexError(f"{file}: cannot be read ({e})") from e


def read_card(folder: Path) -> dict:
    """card.json of a folder. Raises PlaceIndexError where there is none that can be read."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise PlaceIndexError(f"{folder / 'card.json'}: cannot be read ({type(e).__name__}: {e})") from e
    if not isinstance(card, dict):
        raise PlaceIndexError(f"{folder / 'card.json'}: is not a card")
    return card


def _only_ours(folder: Path, kind: str) -> bool:
    """Nothing in the folder, a card of this kind, or what an interrupted first `save_arrays` leaves."""
    if (folder / "card.json").exists():
        try:
            return read_card(folder).get("kind") == kind
        except PlaceIndexError:
            return False
    return all(f.name.startswith((PREFIX, ".")) for f in folder.iterdir())
