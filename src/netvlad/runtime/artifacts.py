"""Saved folders: card.json and a safetensors file, tied together by a checksum and refused where they do not match.

Format 1 has two layouts. If the card has an entry "file", the arrays' file is named after its SHA-256, which is the
checksum. Otherwise it is model.safetensors, and the checksum is the `digest` of architecture and arrays.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from netvlad import __version__
from netvlad.errors import NetvladError, first_line
from netvlad.runtime.files import atomic, flush, sha256, write_json
from netvlad.runtime.locks import only_writer
from netvlad.types import Array

Card: TypeAlias = dict[str, Any]
FORMAT = 1
FILE = "model.safetensors"
PREFIX = "arrays-"  # of a file that is named after its checksum


def write_in_place(folder: str | os.PathLike[str], arrays: Mapping[str, Array], *, kind: str, facts: Card) -> Path:
    """Write model.safetensors, then card.json with the `facts`, of which "architecture" enters the checksum.

    Each file is replaced in one step, the two together are not: a folder between the two is refused when it is read.
    """
    folder = Path(folder)
    with atomic(folder / FILE) as temporary:
        _write(temporary, arrays)
    _write_card(folder, {"format": FORMAT, "kind": kind, **facts, "checksum": digest(facts["architecture"], arrays)})
    return folder


def write_versioned(
    folder: str | os.PathLike[str], arrays: Mapping[str, Array], *, kind: str, facts: Card, error: type[NetvladError]
) -> Path:
    """Write a file named after its checksum, then card.json with the `facts`; other such files are removed.

    The folder changes in the one step in which the card is replaced, and is on the disk when this returns. Raises
    `error` for a folder that holds something else, NetvladError for one that another process is writing.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and _is_replaceable(folder, kind)):
        raise error(f"{folder} is there already and is not a {kind}; choose another folder")
    with only_writer(folder):
        for left in folder.glob(".*.tmp"):  # by a process that was killed
            left.unlink()
        unnamed = folder / ".arrays"
        with atomic(unnamed) as temporary:
            _write(temporary, arrays)
            checksum = sha256(temporary)
        file = folder / f"{PREFIX}{checksum[:16]}.safetensors"
        os.replace(unnamed, file)
        flush(file)
        _write_card(folder, {"format": FORMAT, "kind": kind, **facts, "file": file.name, "checksum": checksum})
        flush(folder / "card.json", folder)
        for other in folder.glob(f"{PREFIX}*.safetensors"):
            if other != file:
                other.unlink()
    return folder


def write_file(folder: str | os.PathLike[str], name: str, source: Path, *, kind: str, facts: Card) -> Path:
    """Copy a file that is no safetensors into the folder as `name`, then write card.json with its SHA-256.

    Each file is replaced in one step, as by `write_in_place`.
    """
    folder = Path(folder)
    with atomic(folder / name) as temporary:
        shutil.copyfile(source, temporary)
        checksum = sha256(temporary)
    _write_card(folder, {"format": FORMAT, "kind": kind, **facts, "file": name, "checksum": checksum})
    return folder


def read_artifact(
    folder: str | os.PathLike[str], *, kind: str, error: type[NetvladError]
) -> tuple[dict[str, Array], Card]:
    """The arrays and the card of a saved folder of this kind. Raises `error` where they are missing or broken."""
    card = read_card(folder, error=error, kinds=[kind])
    return read_arrays(folder, card, error=error), card


def read_artifact_checksum(folder: str | os.PathLike[str], *, error: type[NetvladError]) -> str | None:
    """The checksum of a saved folder, compared with its arrays; None where its card has none.

    Raises `error` as `read_arrays`.
    """
    card = read_card(folder, error=error)
    if "checksum" not in card:
        return None
    if str(card.get("file", FILE)).endswith(".safetensors"):
        read_arrays(folder, card, error=error)
    else:
        read_file(folder, card, error=error)
    return str(card["checksum"])


def read_card(folder: str | os.PathLike[str], *, error: type[NetvladError], kinds: Sequence[str] | None = None) -> Card:
    """card.json of a folder. Raises `error` where it cannot be read, is of another format, or none of `kinds`."""
    file = Path(folder) / "card.json"
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
        kind, version = card["kind"], card["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise error(f"cannot be read as a card ({type(e).__name__}: {first_line(e)})", path=file) from e
    if not isinstance(card, dict) or not isinstance(kind, str):
        raise error("cannot be read as a card (no object with a kind)", path=file)
    if kinds is not None and (version != FORMAT or kind not in kinds):
        wanted = f"this version reads format {FORMAT} of {', '.join(kinds)}"
        raise error(f"is a {kind!r} of format {version!r}; {wanted}", path=folder)
    return card


def read_arrays(folder: str | os.PathLike[str], card: Card, *, error: type[NetvladError]) -> dict[str, Array]:
    """The arrays that `card` describes. Raises `error` where they cannot be read or are not those of the checksum."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    file = Path(folder) / Path(str(card.get("file", FILE))).name  # of this folder, whatever the card says
    try:
        found = sha256(file) if "file" in card else None
        arrays: dict[str, Array] = load_file(file)
        found = found or digest(card["architecture"], arrays)
        expected = card["checksum"]
    except (OSError, SafetensorError, ValueError, MemoryError) as e:
        raise error(f"cannot be read ({first_line(e)})", path=file) from e
    except KeyError as e:
        raise error(f"lacks an entry ({e})", path=Path(folder) / "card.json") from e
    if found != expected:
        raise error("is not the file that card.json describes (checksum differs); copy both again", path=file)
    return arrays


def read_file(folder: str | os.PathLike[str], card: Card, *, error: type[NetvladError]) -> Path:
    """The file that `write_file` copied. Raises `error` where it cannot be read or is not that of the checksum."""
    try:
        file, expected = Path(folder) / Path(str(card["file"])).name, card["checksum"]
    except KeyError as e:
        raise error(f"lacks an entry ({e})", path=Path(folder) / "card.json") from e
    try:
        found = sha256(file)
    except OSError as e:
        raise error(f"cannot be read ({first_line(e)})", path=file) from e
    if found != expected:
        raise error("is not the file that card.json describes (checksum differs); copy both again", path=file)
    return file


def digest(architecture: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """Hex digest of an architecture and every array, whatever their order."""
    found = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode())
    for key, array in sorted(arrays.items()):
        array = np.asarray(array, order="C")
        found.update(f"{key} torch.{array.dtype} {array.shape}".encode())  # as torch spells it, which format 1 has
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _write(file: Path, arrays: Mapping[str, Array]) -> None:
    from safetensors.numpy import save_file

    save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, file)


def _write_card(folder: Path, card: Card) -> None:
    write_json(folder / "card.json", {**card, "netvlad": __version__})


def _is_replaceable(folder: Path, kind: str) -> bool:
    """Whether nothing is in the folder but an artifact of this kind, or what an interrupted first write leaves."""
    if (folder / "card.json").exists():
        try:
            return bool(read_card(folder, error=NetvladError)["kind"] == kind)
        except NetvladError:
            return False
    return all(f.name.startswith((PREFIX, ".")) for f in folder.iterdir())
