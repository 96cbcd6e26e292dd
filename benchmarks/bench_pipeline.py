"""Describing photos from disk against the bare forward passes of the same batches (resnet18-netvlad, campus)."""

from __future__ import annotations

import time

import numpy as np
import torch

import netvlad
from common import campus
from netvlad.describe.stream import describe_photos
from netvlad.images.decode import decode_photos


def main() -> None:
    places = netvlad.read_places(campus())
    model = netvlad.load("resnet18-netvlad")
    netvlad.fit(model, places.path)
    batches = [
        [model.prepare(batch) for _, batch in model.batches([p.image for p in chunk])]
        for chunk in decode_photos(places.path)
    ]

    @torch.inference_mode()
    def bare() -> None:
        for chunk in batches:
            for x in chunk:
                model(x)

    def pipeline() -> None:
        for _ in describe_photos(model, places.path):
            pass

    times: dict[str, list[float]] = {"bare": [], "pipeline": []}
    bare()
    for _ in range(5):
        for name, function in (("bare", bare), ("pipeline", pipeline)):
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    a, b = (float(np.median(times[name])) for name in ("bare", "pipeline"))
    n = len(places)
    print(f"{n} photos, {torch.get_num_threads()} threads, median of 5 rounds in turns")
    print(f"bare forward passes    {a:6.2f} s  {1000 * a / n:5.2f} ms a photo")
    print(f"files to vectors       {b:6.2f} s  {1000 * b / n:5.2f} ms a photo")
    print(f"overhead               {100 * (b / a - 1):6.1f} %")


if __name__ == "__main__":
    main()
