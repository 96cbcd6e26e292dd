"""The vocabulary tree beside COLMAP's, on the same features of the campus photos; needs `pip install pycolmap`.

    OMP_NUM_THREADS=1 python benchmarks/colmap_tree.py --cache FOLDER [--half west]

Both have 4,096 words, ours as 8 x 8 x 8 x 8, fitted on the same features by 10 rounds of k-means (COLMAP) and 20 a node
(ours). East is searched with words of west, 150 features of each photo; west, on which ours was adjusted, with words of
webcams and tower, 25 features of each. By day against night, the other way round, and within each light, every second
photo against those between; radius 10 m, queries without a true match left out. COLMAP ranks among what it has indexed,
so that the queries are in its index too and passed over in its rankings; ours is shown so as well, and with the
database alone, as it is used. Times are processor time of one thread, from a photo's descriptors to its ranking.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pycolmap

import netvlad
from common import campus
from netvlad.evaluation.run import evaluate
from netvlad.features.extraction import rootsift, sift_of, sift_store
from netvlad.search.hamming import HammingEmbedding
from netvlad.search.hamming_file import HammingFile
from netvlad.search.inverted_file import InvertedFile
from netvlad.search.vocabulary_tree import VocabularyTree
from netvlad.types import Ranking

PROTOCOL = netvlad.Protocol(radius=10.0, unmatched="drop", ns=(1, 5, 10))
FITTED = {"east": (("west_day", "west_night"), 150), "west": (("webcams", "tower"), 25)}  # and how many of a photo
NEIGHBOURS = 5  # words of a query's feature in COLMAP, as it has them
BRANCHING, DEPTH = 8, 4
SIFT = pycolmap.FeatureExtractorType.SIFT


class Given:
    name, dim = "given", None

    def __init__(self, ids: np.ndarray):
        self.ids = ids

    def rank(self, photos, k):
        return Ranking(self.ids[:, :k], np.zeros((len(self.ids), k), np.float32))


def table(name: str) -> Path:
    return campus() / f"{name}.csv" if "_" in name else campus().parent / name / "places.csv"


def as_bytes(x: np.ndarray) -> np.ndarray:
    """RootSIFT as COLMAP keeps it."""
    return np.clip(np.rint(512 * x), 0, 255).astype(np.uint8)


def passed_over(order, first: int) -> np.ndarray:
    """The ten best of a ranking of all photos that are database photos, those before `first`."""
    kept = [row for row in order if row < first][:10]
    return np.array(kept + [-1] * (10 - len(kept)))


def colmap(file: Path, features: list, first: int, folder: Path) -> tuple[np.ndarray, float, float]:
    """Rankings of the photos from `first` on (Q, 10), ms a query, and seconds to index all."""
    database = pycolmap.Database.open(folder / "photos.db")
    camera = database.write_camera(pycolmap.Camera.create(1, pycolmap.CameraModelId.SIMPLE_RADIAL, 200.0, 192, 256))
    row_of = {}
    for row, x in enumerate(features):
        photo = database.write_image(pycolmap.Image(name=f"{row}.jpg", camera_id=camera))
        row_of[photo] = row
        database.write_keypoints(photo, np.zeros((len(x), 4), np.float32))
        database.write_descriptors(photo, pycolmap.FeatureDescriptors(SIFT, as_bytes(x)))
    options = pycolmap.VocabTreePairingOptions()
    options.num_images, options.num_threads, options.vocab_tree_path = len(features), 1, file
    options.num_nearest_neighbors = NEIGHBOURS
    queries = [photo for photo, row in row_of.items() if row >= first]
    start = time.process_time()
    generator = pycolmap.VocabTreePairGenerator(options, database, queries)
    indexed, start = time.process_time() - start, time.process_time()
    ranked: dict[int, list] = {photo: [] for photo in queries}
    for a, b in generator.all_pairs():
        asked, found = (a, b) if a in ranked and (b not in ranked or not len(ranked[b])) else (b, a)
        ranked[asked].append(row_of[found])
    took = 1e3 * (time.process_time() - start) / len(queries)
    return np.stack([passed_over(ranked[photo], first) for photo in queries]), took, indexed


def ours(tree, embedding, features: list, first: int, paths: int, alone: bool) -> tuple[np.ndarray, float, float]:
    """As `colmap`; embedding None: words alone; alone: the database alone is in the index."""
    start = time.process_time()
    held, several = features[:first] if alone else features, 3 if embedding else 1
    words = [tree.quantise(x, paths) for x in held]
    if embedding:
        signed = [embedding.signatures(x, w[:, None])[:, 0] for x, w in zip(held, words, strict=True)]
        inverted = HammingFile.build(words, signed, tree.words)
    else:
        inverted = InvertedFile.build(words, tree.words)
    indexed, start = time.process_time() - start, time.process_time()
    found = []
    for x in features[first:]:
        several_of = tree.nearest(x, paths, several)
        asked = (several_of, embedding.signatures(x, several_of)) if embedding else (several_of[:, 0],)
        found.append(inverted.search(*asked, len(features))[0])
    took = 1e3 * (time.process_time() - start) / len(found)
    return np.stack([passed_over(order, first) for order in found]), took, indexed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", required=True)
    parser.add_argument("--half", choices=FITTED, default="east", help="of campus, to be searched")
    given = parser.parse_args()
    names = (f"{given.half}_day", f"{given.half}_night")
    places = {name: netvlad.read_places(table(name)) for name in names}
    store = sift_store(most=2000, folder=given.cache)
    features = {n: [rootsift([s.descriptors]) for s in sift_of(places[n].path, store, workers=0)] for n in names}
    sets, each = FITTED[given.half]
    training, rng = [], np.random.default_rng(0)
    for name in sets:
        for found in sift_of(netvlad.read_places(table(name)).path, store, workers=0):
            training.append(found.descriptors[rng.permutation(len(found.descriptors))[:each]])
    training = rootsift(training)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "tree.bin"
        options = pycolmap.VisualIndex.BuildOptions()
        options.num_visual_words, options.num_threads, options.num_iterations = BRANCHING**DEPTH, 1, 10
        start = time.process_time()
        index = pycolmap.VisualIndex.create(128, 64)
        index.build(options, pycolmap.FeatureDescriptorsFloat(SIFT, as_bytes(training).astype(np.float32)))
        index.write(file)
        fitted = {"COLMAP": time.process_time() - start}
        start = time.process_time()
        tree = VocabularyTree.fit(training, branching=BRANCHING, depth=DEPTH)
        embedding = HammingEmbedding.fit(training, tree.quantise(training, 5), tree.words)
        fitted["ours"] = time.process_time() - start
        took = " and ".join(f"{seconds:.0f} s ({who})" for who, seconds in fitted.items())
        print(f"{len(training):,} training features, {tree.words:,} words; fitted in {took}\n", flush=True)
        methods = {f"COLMAP {pycolmap.__version__}": lambda x, n, at: colmap(file, x, n, at)}
        rows = [("n5-hamming", embedding, 5, False), ("n5-hamming", embedding, 5, True), ("n5", None, 5, True)]
        for name, use, paths, alone in rows:
            label = f"vocabtree-{name}, {'database alone' if alone else 'all in the index'}"
            methods[label] = lambda x, n, at, a=use, b=paths, c=alone: ours(tree, a, x, n, b, c)
        print("| | night in day | day in night | within day | within night | ms a query | s to index all |")
        print("|---|---|---|---|---|---|---|")
        halves = [(n, n, slice(0, None, 2), slice(1, None, 2)) for n in names]
        across = [(a, b, slice(None), slice(None)) for a, b in (names, names[::-1])]
        for label, method in methods.items():
            cells, times, spans = [], [], []
            for held, asked, these, those in [*across, *halves]:
                database, queries = places[held][these], places[asked][those]
                with TemporaryDirectory() as at:
                    joined = features[held][these] + features[asked][those]
                    ids, took, indexed = method(joined, len(database), Path(at))
                recall = evaluate({"": Given(ids)}, database, queries, PROTOCOL).methods[0].recall
                cells.append(" / ".join(f"{100 * recall[n]:.1f}" for n in (1, 5, 10)))
                times.append(took)
                spans.append(indexed)
            span = f"{min(times):.1f} to {max(times):.1f} | {min(spans):.1f} to {max(spans):.1f}"
            print(f"| {label} | {' | '.join(cells)} | {span} |", flush=True)


if __name__ == "__main__":
    main()
