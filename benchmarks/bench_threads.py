"""One thread against the threads that a user gets by default, for all that a describer, a tree or a map computes.

    python benchmarks/bench_threads.py [--threads 2] [--only densevlad] [--worst 3]

Two processes, one of a single thread, run each function in turns on the same made-up photo, features and vectors. More
threads must not cost time: the benchmark ends with status 1 where a function takes more than --worst times as long as
on one thread. What it guards against are parallel loops of torch, OpenCV or a BLAS whose threads wait for each other at
every pass: on tensors of a few thousand numbers, on cores that other work shares, one call then takes milliseconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from netvlad.runtime.threads import wait_asleep

WIDTH, HEIGHT, PHOTOS, FEATURES, DIM = 256, 192, 400, 1000, 512
Cases = dict[str, Callable[[], object]]


def photo(seed: int = 0) -> np.ndarray:
    """A made-up photo of blocks, edges and grain, (HEIGHT, WIDTH, 3) uint8."""
    import cv2

    rng = np.random.default_rng(seed)
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for _ in range(150):
        (x, y), (w, h) = rng.integers(0, (WIDTH, HEIGHT)), rng.integers(4, 50, 2)
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), rng.integers(0, 256, 3).tolist(), -1)
    grain = rng.normal(0, 6, image.shape)
    return np.clip(cv2.GaussianBlur(image, (3, 3), 0.8) + grain, 0, 255).astype(np.uint8)


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random vectors of unit length, none negative."""
    x = np.abs(rng.normal(size=shape)).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def describers() -> Cases:
    import netvlad.describe.burst  # noqa: F401 - registers vladbuff
    from netvlad.describe.backbone import Backbone
    from netvlad.describe.dense_vlad import DenseVLAD
    from netvlad.describe.network import NetworkDescriber
    from netvlad.describe.vlad import kmeans
    from netvlad.describe.wccn import fit_wccn
    from netvlad.describe.whitening import fit_whitening
    from netvlad.features.dense_sift import dense_sift

    image, rng = photo(), np.random.default_rng(0)
    dense = DenseVLAD()
    dense.set_centres(unit(rng, 128, 128), unit(rng, 500, 128))
    backbone = Backbone("resnet18", "layer3")
    backbone.crop()
    cases: Cases = {
        "densevlad": lambda: dense.describe([image]),
        "dense RootSIFT": lambda: [None for _ in dense_sift(image)],
    }
    for pooling in ("netvlad", "vladbuff", "vlad", "max", "gem"):
        model = NetworkDescriber(backbone, pooling, clusters=64)
        if pooling not in ("max", "gem"):
            model.set_centres(unit(rng, 64, backbone.dim), unit(rng, 500, backbone.dim))
        cases[f"resnet18-{pooling}"] = partial(model.describe, [image])
    sample, vectors = unit(rng, 2000, 128), unit(rng, 300, 8192)
    cases["k-means, 32 of 2,000"] = lambda: kmeans(sample, 32, iterations=10)
    cases["fit whitening, 300 photos"] = lambda: fit_whitening(vectors, 128)
    cases["fit cameras, 300 photos"] = lambda: fit_wccn(vectors, np.arange(300) // 20)
    return cases


def features() -> Cases:
    from netvlad.features.local_features import best_kind, local_features
    from netvlad.features.verification import match, verify

    a, b = photo(), np.roll(photo(), 9, axis=1)
    kinds = dict.fromkeys(("rootsift", "orb", "akaze", best_kind()))  # xfeat where it is installed
    cases: Cases = {kind: partial(local_features, a, kind) for kind in kinds}
    for kind in ("rootsift", "orb"):
        pair = local_features(a, kind), local_features(b, kind)
        cases[f"match {kind}"] = partial(match, *pair)
        cases[f"verify {kind}"] = partial(verify, *pair)
    return cases


def trees() -> Cases:
    from netvlad.places import Places
    from netvlad.places.place_matches import place_matches
    from netvlad.search.distinctive import distinctive_shares, distinctive_vectors
    from netvlad.search.hamming import HammingEmbedding
    from netvlad.search.hamming_file import HammingFile
    from netvlad.search.informative import most_informative
    from netvlad.search.inverted_file import InvertedFile
    from netvlad.search.vocabulary_tree import VocabularyTree

    rng = np.random.default_rng(0)
    x = unit(rng, 20_000, 128)
    tree, asked = VocabularyTree.fit(x, branching=8, depth=3), x[:FEATURES]
    words = [rng.integers(0, tree.words, FEATURES) for _ in range(PHOTOS)]
    embedding = HammingEmbedding.fit(x, tree.quantise(x), tree.words)
    several = tree.nearest(asked, 5, 3)
    signatures = [rng.integers(0, 2**63, FEATURES).astype(np.uint64) for _ in range(PHOTOS)]
    inverted = InvertedFile.build(words, tree.words)
    signed = HammingFile.build(words, signatures, tree.words)
    own = embedding.signatures(asked, several)
    places = Places.build(
        path=[f"{i}.jpg" for i in range(PHOTOS)], easting=30.0 * np.arange(PHOTOS), northing=[0.0] * PHOTOS
    )
    near = place_matches(places, places, 25)
    vectors = unit(rng, PHOTOS, DIM)
    photo_of, all_words = np.repeat(np.arange(PHOTOS), FEATURES), np.concatenate(words)
    few = InvertedFile.build(words[:50], tree.words)
    few_near = place_matches(places[:50], places[:50], 25)
    return {
        "fit a tree on 20,000": lambda: VocabularyTree.fit(x, branching=8, depth=3),
        "words by 5 paths": lambda: tree.quantise(asked, 5),
        "words and signatures": lambda: embedding.signatures(asked, tree.nearest(asked, 5, 3)),
        "fit Hamming embedding": lambda: HammingEmbedding.fit(x, tree.quantise(x), tree.words),
        "inverted file": lambda: InvertedFile.build(words, tree.words),
        "search of words": lambda: inverted.search(words[0], 100),
        "search of signatures": lambda: signed.search(several, own, 100),
        "informative words": lambda: most_informative(all_words, photo_of, np.arange(PHOTOS), 0.5),
        "distinctive words, 50": lambda: distinctive_shares(few, few_near),
        "distinctive vectors": lambda: distinctive_vectors(vectors, near),
    }


def maps() -> Cases:
    import faiss

    from netvlad.maps.confidence import calibrate
    from netvlad.places import Places
    from netvlad.search.rankers import cropped

    rng = np.random.default_rng(0)
    vectors = unit(rng, PHOTOS, DIM)
    vectors[1::2] = vectors[::2] + rng.normal(scale=0.01, size=vectors[::2].shape)  # each place twice
    at = 60.0 * (np.arange(PHOTOS) // 2) + 3.0 * (np.arange(PHOTOS) % 2)
    places = Places.build(path=[f"{i}.jpg" for i in range(PHOTOS)], easting=at, northing=np.zeros(PHOTOS))
    index = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
    index.train(np.zeros((1, DIM), np.float32))
    index.add(vectors)
    exact = faiss.IndexFlatL2(DIM)
    exact.add(vectors)
    return {
        "confidence of a map": lambda: calibrate(places, lambda: iter([vectors]), 25.0),
        "search of a map, 1 photo": lambda: index.search(vectors[:1], 5),
        "search of vectors, all": lambda: exact.search(vectors, 20),
        "first numbers": lambda: cropped(vectors, 128),
    }


def training() -> Cases:
    import torch

    from netvlad.places import Places
    from netvlad.training.config import Jitter, Mining
    from netvlad.training.descriptor_cache import DescriptorCache
    from netvlad.training.jitter import jitterer
    from netvlad.training.losses import ranking_loss, softmax_loss
    from netvlad.training.tuples import Tuples

    rng = np.random.default_rng(0)
    at = rng.uniform(0, 300, (2, 1000))
    places = Places.build(path=[f"{i}.jpg" for i in range(1000)], easting=at[0], northing=at[1])
    tuples, cache = Tuples(places, places, Mining(apart=None)), DescriptorCache(1000, 8192)
    vectors = torch.from_numpy(unit(rng, 1000, 8192))
    cache.set(np.arange(1000), vectors)
    query = int(tuples.usable[0])
    batch, jitter = vectors[:48].clone().requires_grad_(), Jitter(brightness=0.2, gamma=0.2, crop=0.2)
    positive = torch.eye(48, dtype=torch.bool).roll(1, 0)
    image = photo()

    def loss(compute: Callable[..., Any], *given: Any) -> None:
        batch.grad = None
        compute(*given)[0].backward()

    return {
        "descriptors to the cache": lambda: cache.set(np.arange(48), vectors[:48]),
        "mining a tuple": lambda: tuples.mine(query, 1, lambda rows: cache.squared_distances(query, rows)),
        "ranking loss": lambda: loss(ranking_loss, batch[0], batch[1:6], batch[6:]),
        "softmax loss": lambda: loss(softmax_loss, batch, positive, ~positive, 0.1),
        "jitter": lambda: jitterer(jitter, 0, 1, 0)(0, image),
    }


ROOMS = (describers, features, trees, maps, training)


def serve(threads: int, only: str) -> None:
    """Time one call of each function that is named on stdin."""
    import cv2

    cv2.setNumThreads(threads)  # not by the environment
    cases = {name: call for room in ROOMS for name, call in room().items() if only in name}
    print(*cases, sep="\t", flush=True)
    for line in sys.stdin:
        call = cases[line.rstrip("\n")]
        start = time.perf_counter()
        call()
        print(time.perf_counter() - start, flush=True)


def started(threads: int, only: str) -> subprocess.Popen[str]:
    """A process of so many threads that serves; libraries read the environment when they are loaded."""
    wait_asleep()  # as in the command line, where netvlad comes before NumPy
    command = [sys.executable, __file__, "--serve", "--threads", str(threads), "--only", only]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def timed(server: subprocess.Popen[str], name: str) -> float:
    assert server.stdin is not None
    assert server.stdout is not None
    print(name, file=server.stdin, flush=True)
    return float(server.stdout.readline())


def compare(threads: int, only: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each function on one thread and on `threads`, taken in turns."""
    servers = started(1, only), started(threads, only)
    names = [server.stdout.readline().rstrip("\n").split("\t") for server in servers]
    found = {}
    for name in filter(None, names[0]):
        for server in servers:
            timed(server, name)
        times = [[timed(server, name) for server in servers] for _ in range(rounds)]
        found[name] = tuple(statistics.median(column) for column in zip(*times, strict=True))
        one, several = (1e3 * seconds for seconds in found[name])
        print(f"{name:28}{one:10.2f}{several:10.2f}{several / one:8.2f}", flush=True)
    for server in servers:
        server.communicate()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="functions whose name contains this")
    parser.add_argument("--worst", type=float, default=3.0, help="largest ratio of the times that passes")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.threads, options.only)
        return
    print(f"{'ms, median':28}{'1 thread':>10}{f'{options.threads}':>10}{'ratio':>8}")
    found = compare(options.threads, options.only, options.rounds)
    slow = [name for name, (one, several) in found.items() if several > max(options.worst * one, one + 1e-3)]
    if slow:
        sys.exit(f"slower on {options.threads} threads: {', '.join(slow)}")


if __name__ == "__main__":
    main()
