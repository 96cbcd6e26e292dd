"""A detector on the disk: its keyframes, in folders that are replaced as a whole."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from netvlad.errors import NetvladError, first_line
from netvlad.loops.keyframes import Generation, Keyframes
from netvlad.loops.options import LoopOptions
from netvlad.runtime.files import write_json
from netvlad.types import Array, Describer, FloatArray

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Saved:
    """What a detector goes on with. waiting: (vector, JPEG, seconds) of keyframes too young to be found."""

    options: LoopOptions
    camera: Array | None
    keyframes: Keyframes
    waiting: deque[tuple[FloatArray, bytes, float]]
    t: float
    scale: float = 1.0  # of kept photos


def write_saved(folder: str | os.PathLike[str], saved: Saved, model: Describer) -> Path:
    """Write a detector into `folder`, in place of one that is there. Raises NetvladError for any other folder."""
    folder = Path(folder)
    if folder.exists() and not (folder / "loops.json").is_file():
        raise NetvladError("is there already and holds no saved detector; choose another folder", path=folder)
    whole = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir(parents=True)
    parts = saved.keyframes.generations
    for i, part in enumerate(parts):
        part.save(whole / f"generation-{i}")
    waiting = Generation(model.dim, 0)
    for entry in saved.waiting:
        waiting.append(*entry)
    waiting.save(whole / "waiting")
    card = {
        "format": FORMAT,
        "model": model.identity,
        "options": asdict(saved.options),
        "camera": None if saved.camera is None else np.asarray(saved.camera).tolist(),
        "t": saved.t if math.isfinite(saved.t) else None,
        "generations": len(parts),
        "scale": saved.scale,
    }
    write_json(whole / "loops.json", card)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(whole, folder)
    return folder


def read_saved(folder: str | os.PathLike[str], model: Describer) -> Saved:
    """What `write_saved` wrote. Raises NetvladError where there is none, or of another model."""
    folder = Path(folder)
    try:
        card = json.loads((folder / "loops.json").read_text(encoding="utf-8"))
        if card["format"] != FORMAT:
            raise ValueError(f"is of format {card['format']}, not {FORMAT}")
        options, t = LoopOptions(**card["options"]), -math.inf if card["t"] is None else float(card["t"])
        camera, count = None if card["camera"] is None else np.array(card["camera"], np.float64), card["generations"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise NetvladError(f"holds no saved detector ({first_line(e)})", path=folder) from e
    if card["model"] != model.identity:
        raise NetvladError("was made with another model", path=folder)
    keyframes = Keyframes(model.dim, options.most)
    keyframes.generations = [Generation.load(folder / f"generation-{i}", model.dim) for i in range(count)]
    held = Generation.load(folder / "waiting", model.dim)
    vectors = held.index.reconstruct_n(0, len(held)) if len(held) else ()
    waiting = deque((vector, held.photo(i), held.times[i]) for i, vector in enumerate(vectors))
    return Saved(options, camera, keyframes, waiting, t, float(card.get("scale", 1.0)))
