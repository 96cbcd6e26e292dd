"""What explaining two photos costs beside describing them, in processor time of one thread.

    python benchmarks/bench_explanations.py

Made-up photos of 640x480; what is in them does not change the work.
"""

from __future__ import annotations

import time
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

import netvlad
from common import interleaved
from netvlad.types import needs_fit

MODELS = ("tf_efficientnet_lite0-max", "tf_efficientnet_lite0-netvlad", "default", "densevlad")


def photos(folder: str, count: int) -> list[str]:
    """Paths of textures of 640x480."""
    rng, paths = np.random.default_rng(0), [f"{folder}/{i}.png" for i in range(count)]
    for path in paths:
        coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(np.kron(coarse, np.ones((20, 20, 1), np.uint8))).save(path)
    return paths


def main() -> None:
    with TemporaryDirectory() as folder:
        measure(photos(folder, 8))


def measure(paths: list[str]) -> None:
    """Print a row for each model."""
    query, match = (netvlad.read_image(path) for path in paths[:2])
    torch.set_num_threads(1)
    print("| model | numbers before the whitening | describing two photos | explaining them |")
    print("|---|---|---|---|")
    for name in MODELS:
        model = netvlad.load(name)
        if needs_fit(model):
            netvlad.fit(model, paths)
        both = {
            "describing": lambda model=model: model.describe([query, match]),
            "explaining": lambda model=model: netvlad.explain(model, query, match),
        }
        ms = {key: 1000 * s for key, s in interleaved(both, rounds=7, warm=1, clock=time.process_time).items()}
        print(f"| {name} | {len(model.mean)} | {ms['describing']:.0f} ms | {ms['explaining']:.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
