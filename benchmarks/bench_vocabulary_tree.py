"""The vocabulary tree and the inverted file at the size of a city, on generated features; one thread.

    OMP_NUM_THREADS=1 python benchmarks/bench_vocabulary_tree.py [--photos 100000 --features 1000 --words 1000000]

Words: a tree of branching 10 and depth 5 fitted on clustered unit vectors; words a second for 1 to 9 greedy paths, the
share of words that are the nearest leaf, and at 1 path the agreement with a plain loop in double precision and with a
descent by scikit-learn and by OpenCV. With Hamming embedding: words and signatures a second, and how many bytes.
Search: photos of words drawn from a skewed distribution (log-normal, sigma 1, as leaves of trees on real photos are
about), queries that repeat a third of a photo's words. CPU time of this process, so other work matters little.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from common import peak_mib
from netvlad.search.hamming import HammingEmbedding
from netvlad.search.inverted_file import InvertedFile
from netvlad.search.vocabulary_tree import VocabularyTree


def clustered(n: int, rng: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 128) around some of `centres`, as RootSIFT is: not negative."""
    x = centres[rng.integers(len(centres), size=n)] + rng.normal(scale=0.04, size=(n, centres.shape[1]))
    x = np.abs(x).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def plain(tree: VocabularyTree, x: np.ndarray) -> list[int]:
    """The classic descent, a node at a time."""
    words = []
    for v in x.astype(np.float64):
        node = 0
        for centres, parents in tree.levels:
            first, end = np.searchsorted(parents, (node, node + 1))
            node = first + int(np.square(centres[first:end] - v).sum(axis=1).argmin())
        words.append(node)
    return words


def by_others(tree: VocabularyTree, x: np.ndarray, nearest) -> np.ndarray:
    """The classic descent, all descriptors of a node at a time: nearest(x, centres) -> rows of centres."""
    nodes = np.zeros(len(x), np.int64)
    for centres, parents in tree.levels:
        order = np.argsort(nodes, kind="stable")
        ends = np.flatnonzero(np.diff(nodes[order])) + 1
        below = np.empty_like(nodes)
        for share in np.split(order, ends):
            first, end = np.searchsorted(parents, (nodes[share[0]], nodes[share[0]] + 1))
            below[share] = first + nearest(x[share], centres[first:end])
        nodes = below
    return nodes


def of_scikit_learn(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    from sklearn.metrics import pairwise_distances_argmin

    return pairwise_distances_argmin(x, centres)


def of_opencv(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.batchDistance(x, centres, cv2.CV_32F, normType=cv2.NORM_L2SQR, K=1)[1][:, 0]


def quantisation(rng: np.random.Generator, training: int, queries: int) -> None:
    centres = np.abs(rng.normal(size=(3000, 128))) ** 2
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    start = time.process_time()
    tree = VocabularyTree.fit(clustered(training, rng, centres))
    print(f"fit on {training:,} descriptors: {tree.words:,} words, {time.process_time() - start:.1f} s")
    x = clustered(queries, rng, centres)
    leaves = tree.levels[-1][0]
    sample = x[:500]
    nearest = (sample @ leaves.T - np.square(leaves).sum(axis=1) / 2).argmax(axis=1)
    for paths in (1, 2, 5, 9):
        start = time.process_time()
        words = tree.quantise(x, paths)
        took = time.process_time() - start
        exact = np.mean(words[:500] == nearest)
        print(f"  {paths} paths: {queries / took:,.0f} words/s, {100 * exact:.1f} % are the nearest leaf")
    start = time.process_time()
    loop = plain(tree, x[:2000])
    took = time.process_time() - start
    agree = np.mean(tree.quantise(x[:2000]) == loop)
    print(f"  plain loop: {2000 / took:,.0f} words/s, {100 * agree:.2f} % of the words of 1 path agree")
    classic = tree.quantise(x)
    for name, nearest in (("scikit-learn", of_scikit_learn), ("OpenCV", of_opencv)):
        start = time.process_time()
        agree = np.mean(by_others(tree, x, nearest) == classic)
        took = time.process_time() - start
        print(f"  {name}: {queries / took:,.0f} words/s, {100 * agree:.3f} % of the words of 1 path agree")
    embedding = HammingEmbedding.fit(x, tree.quantise(x, 5), tree.words)
    start = time.process_time()
    embedding.signatures(x, tree.nearest(x, 5, 3))
    took = time.process_time() - start
    print(f"  5 paths, 3 words and their signatures: {queries / took:,.0f} features/s; 12 bytes a feature, "
          f"{embedding.medians.nbytes / tree.words:.0f} bytes a word")  # fmt: skip


def search(rng: np.random.Generator, photos: int, features: int, vocabulary: int, queries: int) -> None:
    share = np.cumsum(rng.lognormal(sigma=1, size=vocabulary))
    words = [
        np.searchsorted(share, rng.random(features) * share[-1]).clip(max=vocabulary - 1).astype(np.int32)
        for _ in range(photos)
    ]
    before, start = peak_mib(reset=True), time.process_time()
    inverted = InvertedFile.build(words, vocabulary)
    took = time.process_time() - start
    held = inverted.starts.nbytes + inverted.entries.nbytes + inverted.counts.nbytes
    total = photos * features
    print(f"{photos:,} photos of {features:,} features, {vocabulary:,} words: built in {took:.1f} s")
    print(f"  {held / total:.1f} bytes a feature; {(peak_mib() - before) * 2**20 / total:.0f} more at the peak of it")
    times, visited, right = [], [], 0
    for target in rng.integers(photos, size=queries):
        noise = rng.integers(vocabulary, size=features - features // 3)
        query = np.concatenate([words[target][: features // 3], noise])
        start = time.process_time()
        found, _ = inverted.search(query, 100)
        times.append(1e3 * (time.process_time() - start))
        visited.append(np.diff(inverted.starts)[np.unique(query)].sum())
        right += found[0] == target
    print(f"  a query: {np.median(times):.1f} ms (10th to 90th percentile {np.percentile(times, 10):.1f} to "
          f"{np.percentile(times, 90):.1f}), {np.mean(visited):,.0f} postings; {right} of {queries} found")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--words", type=int, nargs="*", default=[1_000_000, 100_000])
    parser.add_argument("--training", type=int, default=300_000)
    parser.add_argument("--queries", type=int, default=50)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    quantisation(rng, arguments.training, 50_000)
    for vocabulary in arguments.words:
        search(rng, arguments.photos, arguments.features, vocabulary, arguments.queries)


if __name__ == "__main__":
    main()
