"""What models cost and find: recall on the same photos, as in docs/results, and times measured on this machine."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from netvlad.errors import NetvladError
from netvlad.runtime.download import cache_folder
from netvlad.runtime.files import write_json
from netvlad.types import Describer, needs_fit

PHOTOS, ROUNDS = 4, 5
SIZE = 480, 640  # of the photos that are timed, (height, width)


@dataclass(frozen=True)
class Measured:
    """Recall@1 in percent, centres and projection fitted on the database.

    campus: across day and night within 10 m, the mean of both directions. tower: floors of a building, within one
    light. docs/results/default.md and rivals.md have intervals and commands.
    """

    name: str
    dim: int
    campus: float
    tower: float


MEASURED = (
    Measured("default", 512, 49.0, 56.0),
    Measured("tf_efficientnet_lite0-netvlad", 7168, 46.4, 56.9),
    Measured("tf_efficientnet_lite0-max", 112, 10.2, 21.2),
    Measured("resnet18-netvlad", 16384, 45.2, 53.4),
    Measured("resnet18-max", 256, 22.4, 38.5),
    Measured("densevlad", 16384, 22.6, 68.1),
)


def read_times() -> dict[str, float]:
    """Milliseconds a photo by name of a model, as `measure_times` kept them on this machine."""
    try:
        kept = json.loads(_file().read_text("utf-8"))
        return {str(name): float(ms) for name, ms in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # none yet, or not ours
        return {}


def measure_times(names: Iterable[str]) -> Iterator[tuple[str, float | str]]:
    """Yield each of `names` with its milliseconds a photo of 640x480, or the reason why it cannot be timed.

    Describing alone is timed, without decoding, with the threads that a user gets: the median of five calls with four
    photos. Times are kept for `read_times` as they come.
    """
    from netvlad.pretrained.zoo import load

    for name in names:
        try:
            ms = _milliseconds(load(name))
        except NetvladError as e:
            yield name, str(e)
            continue
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(), {**read_times(), name: round(ms, 1)})
        yield name, ms


def _milliseconds(model: Describer) -> float:
    from netvlad.describe.fit import fit

    photos = list(np.random.default_rng(0).integers(0, 256, (PHOTOS, *SIZE, 3), np.uint8))
    if needs_fit(model):  # a photo takes the same time whatever the centres are
        with TemporaryDirectory() as folder:
            paths = [str(Path(folder) / f"{i}.png") for i in range(PHOTOS)]
            for photo, path in zip(photos, paths, strict=True):
                Image.fromarray(photo).save(path)
            fit(model, paths, workers=0)
    model.describe(photos)
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        model.describe(photos)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds) / PHOTOS


def _file() -> Path:
    return cache_folder() / f"times-{platform.node() or 'here'}.json"
