"""Dense RootSIFT against OpenCV's descriptor at the same points, and what a DenseVLAD vector costs.

A 640x480 photo has 273,210 points at four bin sizes. OpenCV computes a keypoint at a time, so its figure is that of a
random few hundred points of each bin size, multiplied; what it spends on a photo once (its pyramid, measured with a
single point) is subtracted first and added once. One thread, everything in one run, taken in turns.
"""

from __future__ import annotations

import argparse
import csv
import math

import cv2
import numpy as np
import torch
from PIL import Image

from common import campus, interleaved
from netvlad.describe.dense_vlad import DenseVLAD, vlad
from netvlad.describe.vlad import kmeans
from netvlad.features.dense_sift import BIN_SIZES, binned, dense_sift, orientation_maps, smoothed

SIZES = ((640, 480), (192, 256))


def keypoints(grey: np.ndarray, size: int, n: int) -> list:
    """n of the points of one bin size, as OpenCV's: a bin is 3 scales, a keypoint's size 2 of them."""
    blocks = [(block.x, block.y) for block in dense_sift(grey) if block.bin_size == size]
    x, y = (np.concatenate(part) for part in zip(*blocks, strict=True))
    chosen = np.random.default_rng(0).choice(len(x), n, replace=False)
    return [cv2.KeyPoint(float(x[i]), float(y[i]), 2 * size / 3, 0.0) for i in chosen]


def gradients(grey: np.ndarray) -> None:
    for size in BIN_SIZES:
        binned(orientation_maps(smoothed(grey, size / 6)), size)


def one_size(photo: Image.Image, width: int, height: int, points: int, rounds: int) -> None:
    image = np.asarray(photo.resize((width, height)))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    blocks = [block.descriptors for block in dense_sift(image)]
    counts = {s: sum(len(b.x) for b in dense_sift(image) if b.bin_size == s) for s in BIN_SIZES}
    everything = np.concatenate(blocks)
    model = DenseVLAD()
    model.pooling.initialise(kmeans(everything[:: len(everything) // 5000], 128, iterations=5), None)
    centres = model.pooling.centres.numpy()
    functions = {
        "vector": lambda: model.describe([image]),
        "dense RootSIFT": lambda: [None for _ in dense_sift(image)],
        "of it the maps": lambda: gradients(grey.astype(np.float32) / 255),
        "VLAD": lambda: vlad(iter(blocks), centres),
    }
    for size in BIN_SIZES:
        sift = cv2.SIFT_create(sigma=math.hypot(size / 6, 0.5))
        few = keypoints(grey, size, points)
        functions[f"opencv {size}"] = lambda sift=sift, few=few: sift.compute(grey, few)
        functions[f"opencv {size}, one"] = lambda sift=sift, few=few: sift.compute(grey, few[:1])
    took = interleaved(functions, rounds=rounds, warm=1)
    opencv = 0.0
    for size in BIN_SIZES:
        once = took[f"opencv {size}, one"]
        opencv += once + (took[f"opencv {size}"] - once) / (points - 1) * counts[size]
    ours = took["dense RootSIFT"]
    print(f"{width}x{height}: {len(everything)} points")
    print(f"  dense RootSIFT {1e3 * ours:.1f} ms (smoothing, gradients, bins {1e3 * took['of it the maps']:.1f})")
    print(f"  VLAD of it {1e3 * took['VLAD']:.1f} ms; the vector in all {1e3 * took['vector']:.1f} ms")
    print(f"  OpenCV {opencv:.1f} s, from {points} points of each bin size: {opencv / ours:.0f} times as long")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=200, help="OpenCV keypoints of each bin size that are timed")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    folder = campus()
    with open(folder / "east_day.csv", newline="") as file:
        photo = Image.open(folder / next(csv.DictReader(file))["path"]).convert("RGB")
    print(f"OpenCV {cv2.__version__}, one thread (set OMP_NUM_THREADS=1 for NumPy's products)")
    for width, height in SIZES:
        one_size(photo, width, height, arguments.points, arguments.rounds)


if __name__ == "__main__":
    main()
