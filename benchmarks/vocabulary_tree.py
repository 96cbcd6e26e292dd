"""The vocabulary tree on the campus photos, as a Markdown table: fitted on west, judged on east.

    OMP_NUM_THREADS=1 python benchmarks/vocabulary_tree.py --cache FOLDER [--paths 1 2 5 9] [--out FOLDER]

By day against night and the other way round, as `campus.py`; and within one light, every second photo against those
between. Radius 10 m, queries without a true match left out. --cache keeps the features. Informative features: the
places are cells of 10 m; a random share of the training features, of the same size, stands beside each. --out: draws
recall against greedy paths and against the share of informative features.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import netvlad
from common import campus
from netvlad.evaluation.run import evaluate
from netvlad.features.extraction import rootsift, sift_of, sift_store
from netvlad.search.informative import most_informative
from netvlad.search.inverted_file import InvertedFile
from netvlad.search.vocabulary_tree import VocabularyTree
from netvlad.types import Ranking

PROTOCOL = netvlad.Protocol(radius=10.0, unmatched="drop")
SCORES = [(norm, bursts) for norm in ("length", "features") for bursts in (True, False)]


class Words:
    """A ranker over the words of photos, which are there already."""

    name, dim = "words", None

    def __init__(self, held: list, asked: list, vocabulary: int, **options):
        self.inverted, self.asked = InvertedFile.build(held, vocabulary, **options), asked

    def rank(self, photos, k):
        ids, scores = np.full((len(photos), k), -1), np.full((len(photos), k), -np.inf, np.float32)
        for row, words in enumerate(self.asked):
            found, score = self.inverted.search(words, k)
            ids[row, : len(found)], scores[row, : len(found)] = found, score
        return Ranking(ids, scores)


def cells(places) -> np.ndarray:
    corner = np.floor(np.stack([places.easting, places.northing], axis=1) / 10)
    return np.unique(corner, axis=0, return_inverse=True)[1].ravel()


def split(x: np.ndarray, lengths) -> list:
    return np.split(x, np.cumsum(lengths)[:-1])


def informative(words: list, places, share: float) -> list:
    lengths = [len(w) for w in words]
    photo = np.repeat(np.arange(len(words)), lengths)
    keep = split(most_informative(np.concatenate(words), photo, cells(places), share), lengths)
    return [w[k] for w, k in zip(words, keep, strict=True)]


CASES = ("night queries, day database", "day queries, night database", "day, day", "night, night")


def row(label: str, places, words, vocabulary: int, share: float = 1.0, **options) -> np.ndarray:
    """Print recall@1/5/10 in percent of both directions, and of each light against itself; (4, 3)."""
    halves = [(n, n, slice(0, None, 2), slice(1, None, 2)) for n in ("east_day", "east_night")]
    across = [(a, b, slice(None), slice(None)) for a, b in (("east_day", "east_night"), ("east_night", "east_day"))]
    found = []
    for held, asked, these, those in [*across, *halves]:
        kept = words[held][these]
        kept = kept if share == 1 else informative(kept, places[held][these], share)
        ranker = Words(kept, words[asked][those], vocabulary, **options)
        recall = evaluate({"": ranker}, places[held][these], places[asked][those], PROTOCOL).methods[0].recall
        found.append([100 * recall[n] for n in (1, 5, 10)])
    print(f"| {label} | {' | '.join(' / '.join(f'{r:.1f}' for r in case) for case in found)} |", flush=True)
    return np.array(found)


def draw(curves: dict[str, dict], axis: str, file: Path, ticks=None) -> None:
    """recall@1 and recall@10 of each case, against the keys of each of `curves`: label -> {x: (4, 3)}."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 4, figsize=(12, 3.7), sharey=True, layout="constrained")
    for case, (panel, title) in enumerate(zip(panels, CASES, strict=True)):
        for colour, (label, found) in zip(("tab:green", "tab:orange", "0.5"), curves.items(), strict=False):
            x = sorted(found)
            for column, style, n in ((0, "-o", 1), (2, "--s", 10)):
                panel.plot(x, [found[i][case][column] for i in x], style, color=colour, ms=4, label=f"{label} @{n}")
        panel.set(title=title, xlabel=axis, ylim=(0, 100), xticks=ticks or x)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("recall, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache")
    parser.add_argument("--as-they-are", action="store_true", help="do not double the small photos")
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--branching", type=int, default=10)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--paths", type=int, nargs="*", default=[1, 2, 5, 9])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shares", type=float, nargs="*", default=[0.5, 0.25, 0.1])
    given = parser.parse_args()
    folder, store = campus(), sift_store(most=given.most, enlarge=not given.as_they_are, folder=given.cache)
    names = ("west_day", "west_night", "east_day", "east_night")
    places = {name: netvlad.read_places(folder / f"{name}.csv") for name in names}
    sift = {name: [found.descriptors for found in sift_of(places[name].path, store)] for name in names}
    x = {name: rootsift(sift[name]) for name in names}
    lengths = {name: [len(s) for s in sift[name]] for name in names}
    training, of = np.concatenate([x[n] for n in names[:2]]), [*lengths["west_day"], *lengths["west_night"]]

    def words_of(tree, paths: int) -> dict:
        return {name: split(tree.quantise(x[name], paths), lengths[name]) for name in names[2:]}

    def fit(descriptors):
        return VocabularyTree.fit(descriptors, branching=given.branching, depth=given.depth)

    tree = fit(training)
    print(f"{len(training):,} training features, {tree.words:,} words\n")
    print(f"| | {' | '.join(CASES)} |\n|---|---|---|---|---|")
    by_paths: dict[int, np.ndarray] = {}
    for paths in given.paths:
        words = words_of(tree, paths)
        for norm, bursts in SCORES if paths == given.paths[-1] else SCORES[:1]:
            label = f"{paths} paths, {norm}, {'square root of' if bursts else 'plain'} tf"
            found = row(label, places, words, tree.words, norm=norm, bursts=bursts)
            by_paths.setdefault(paths, found)
    entries, trees = {1.0: by_paths[given.paths[-1]]}, {"informative": {}, "at random": {}}
    for share in given.shares:
        label = f"{share:g} of each entry, {given.paths[-1]} paths"
        entries[share] = row(label, places, words, tree.words, share)
    west, rng = netvlad.Places.concat([places["west_day"], places["west_night"]]), np.random.default_rng(0)
    photo, first = np.repeat(np.arange(len(of)), of), tree.quantise(training, given.paths[-1])
    for share in given.shares:
        chosen = most_informative(first, photo, cells(west), share)
        for label, keep in (("informative", chosen), ("at random", rng.permutation(chosen))):
            other = fit(training[keep])
            words = words_of(other, given.paths[-1])
            trees[label][share] = row(f"tree on {share:g}, {label}", places, words, other.words)
    if given.out:
        draw({"words": by_paths}, "greedy paths N", given.out / "paths.png")
        curves = {f"tree fitted on the share, {label}": {1.0: entries[1.0], **found} for label, found in trees.items()}
        curves = {"the share of each entry": entries, **curves}
        draw(curves, "share of the features", given.out / "informative.png", [0, 0.25, 0.5, 0.75, 1])


if __name__ == "__main__":
    main()
