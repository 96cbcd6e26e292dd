"""Damage to a map: any of its files, by chance or by knowledge of what it holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from soak.mutate import BYTES, Rng, damage_json, flip_one, pick, to_json


def damage_map(folder: Path, other: Path, rng: Rng) -> str:
    """Damage the map in `folder` in one way, and say how. other: a map of other photos and another model."""
    kind = rng.random()
    if kind < 0.15:
        return _damage_vectors(folder / "search.faiss", rng)
    if kind < 0.25:
        return _swap(folder, other, rng)
    file = _file(folder, rng)
    name = file.relative_to(folder).as_posix()
    if kind < 0.45 and file.suffix == ".json":
        text = to_json(damage_json(json.loads(file.read_text()), rng), rng)
        file.write_text(text)
        return f"{name}: JSON of other values: {text[:300]}"
    if kind < 0.6:
        return _replace(file, other, rng)
    data = file.read_bytes()
    way = flip_one if rng.random() < 0.4 else pick(rng, BYTES)
    file.write_bytes(way(data, rng) if data else rng.bytes(10))
    return f"{name}: {way.__name__}"


def _file(folder: Path, rng: Rng) -> Path:
    """A file of the map; each part of the map is as likely, however many files it has."""
    part = pick(rng, ("search.faiss", "calibration.json", "manifest.json", "model", "places.lance", "places.lance"))
    if (folder / part).is_file():
        return folder / part
    files = sorted(path for path in (folder / part).rglob("*") if path.is_file())
    groups = sorted({path.parent for path in files})
    group = pick(rng, groups)
    return Path(pick(rng, [path for path in files if path.parent == group]))


def _replace(file: Path, other: Path, rng: Rng) -> str:
    """The file is gone, empty, a folder, or that of another map."""
    how = pick(rng, ("gone", "empty", "a folder", "another map's"))
    name = file.name
    theirs = sorted(path for path in other.rglob(f"*{file.suffix}") if path.parent.name == file.parent.name)
    file.unlink()
    if how == "empty":
        file.touch()
    elif how == "a folder":
        file.mkdir()
    elif how == "another map's" and theirs:
        same = [path for path in theirs if path.name == name]
        shutil.copy(pick(rng, same or theirs), file)
    return f"{file.parent.name}/{name}: {how}"


def _swap(folder: Path, other: Path, rng: Rng) -> str:
    """Whole parts are those of another map."""
    parts = ["search.faiss", "calibration.json", "manifest.json", "model", "places.lance"]
    count = int(rng.integers(1, 4))
    names = [parts[i] for i in rng.permutation(len(parts))[:count]]
    for name in names:
        target = folder / name
        if target.is_dir():
            shutil.rmtree(target)
            shutil.copytree(other / name, target)
        else:
            shutil.copy(other / name, target)
    return f"{', '.join(names)} of another map"


def _damage_vectors(file: Path, rng: Rng) -> str:
    """The search file stays one that faiss reads: its rows are shuffled, swapped, NaN, zero or fewer.

    Its codes are the last part of it: float16, row after row.
    """
    import faiss

    index = faiss.read_index(str(file))
    rows = np.stack([index.reconstruct(i) for i in range(index.ntotal)])
    how = pick(rng, ("shuffled", "two swapped", "NaN", "zero", "fewer", "infinite", "one number"))
    one, two = (int(i) for i in rng.permutation(len(rows) - 1)[:2])
    if how == "shuffled":
        rows[:-1] = rows[rng.permutation(len(rows) - 1)]
    elif how == "two swapped":
        rows[[one, two]] = rows[[two, one]]
    elif how in ("NaN", "zero", "infinite"):
        rows[one] = {"NaN": np.nan, "zero": 0.0, "infinite": np.inf}[how]
    elif how == "fewer":
        rows = rows[: int(rng.integers(len(rows)))]
    else:
        rows[one, int(rng.integers(rows.shape[1]))] += 0.25
    index.reset()
    if len(rows):
        index.add(rows)
    faiss.write_index(index, str(file))
    return f"search.faiss: rows {how}"
