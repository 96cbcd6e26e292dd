"""Explanations on real photos and on a drawn town: agreement with occlusion, and sums.

    python benchmarks/explanations.py campus            # the western half; east: --half east
    python benchmarks/explanations.py town town/test    # a town of `netvlad town build`

Each query is explained with the most similar photo of its place. Windows slide over the query
(`explanation.occlusion`); for each, what the similarity loses when it is covered is compared with what the exact map
has under it, by Spearman's rank correlation (median and quartiles). The second correlation is that of what the
similarity loses to first order when a location is taken out and the norms follow, which explanations hold fixed.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

import netvlad
from common import campus
from netvlad.explanation.occlusion import occluded, windows_of
from netvlad.places.neighbours import radius_neighbors

NEAR, MOST = 10.0, 24  # metres, photos of a place that are compared
SIDE = 8  # each location is cut into so many parts a side, so that windows need not end at its border


def under_windows(found: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sums of a map (h, w) under each window on a photo of so many pixels: (n,)."""
    fine = np.kron(found.astype(np.float64), np.ones((SIDE, SIDE))) / SIDE**2
    return np.array([fine[part].sum() for part in windows_of(height, width).slices(*fine.shape)])


def norms_let_go(model, query: str, match: str) -> np.ndarray:
    """As the query's map (h, w), of norms that follow what is taken out, to first order.

    What changes a unit vector is what is orthogonal to it: to the whole after the whitening, to each cluster before.
    """
    photos = [model.parts(photo) for photo in (query, match)]
    z = model.projected(np.stack([parts.vector - model.mean for parts in photos]))
    lengths = np.linalg.norm(z, axis=1, keepdims=True)
    unit = z / lengths
    across = model.projected_back((unit[1] - (unit[0] @ unit[1]) * unit[0])[None])[0] / lengths[0]
    clusters = len(photos[0].along(across))
    across, own = across.reshape(clusters, -1), photos[0].vector.reshape(clusters, -1)
    across = across - own * ((across * own).sum(axis=1) / np.maximum((own * own).sum(axis=1), 1e-12))[:, None]
    return photos[0].along(across.ravel()).sum(axis=0)


def one_pair(model, query: str, match: str) -> dict[str, float]:
    """Correlation and errors of a pair."""
    vectors = model.describe([query, match])
    found = netvlad.explain(model, query, match)
    image = netvlad.read_image(query, resize=model.resize)
    lost = occluded(model, image, vectors[1])
    sums = found.query_map.sum() + found.query_constant, found.match_map.sum() + found.match_constant
    return {
        "fixed": spearmanr(lost, under_windows(found.query_map, *image.shape[:2])).statistic,
        "free": spearmanr(lost, under_windows(norms_let_go(model, query, match), *image.shape[:2])).statistic,
        "error": max(abs(total - float(vectors[0] @ vectors[1])) for total in (*sums, found.table.sum())),
        "similarity": found.similarity,
    }


def pairs_of(model, database, queries, count: int, seed: int) -> list[tuple[str, str]]:
    """Queries drawn by `seed` from those with a database photo within `NEAR`, each with the most similar of these."""
    near = radius_neighbors(queries, database, NEAR)
    pairs = []
    for row in np.random.default_rng(seed).permutation(len(queries)):
        around = near.of(row)[0][:MOST]
        if len(around):
            query, paths = str(queries.path[row]), database.path[around].tolist()
            best = (model.describe(paths) @ model.describe([query])[0]).argmax()
            pairs.append((query, paths[best]))
        if len(pairs) == count:
            break
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", choices=["campus", "town"])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--half", choices=["west", "east"], default="west", help="of the campus")
    models = [
        "resnet18-max",
        "resnet18-avg",
        "resnet18-gem",
        "resnet18-vlad",
        "resnet18-netvlad",
        "default",
        "densevlad",
    ]
    parser.add_argument("--models", nargs="*", default=models)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.photos == "campus":
        folder = campus()
        database, queries = (netvlad.read_places(folder / f"{arguments.half}_{side}.csv") for side in ("day", "night"))
    else:
        database, queries = (netvlad.read_places(arguments.folder / part) for part in ("database", "queries"))
    print("| model | dim | similarity | norms fixed | norms let go | largest error of the sums |")
    print("|---|---|---|---|---|---|")
    for name in arguments.models:
        model = netvlad.load(name)
        if netvlad.types.needs_fit(model):
            netvlad.fit(model, [str(path) for path in database.path])
        runs = [one_pair(model, *pair) for pair in pairs_of(model, database, queries, arguments.pairs, seed=0)]
        rho = {key: np.percentile([run[key] for run in runs], [50, 25, 75]) for key in ("fixed", "free")}
        similarity = statistics.median(run["similarity"] for run in runs)
        cells = " | ".join(f"{m:.2f} ({low:.2f} to {high:.2f})" for m, low, high in rho.values())
        print(
            f"| {name} | {model.dim} | {similarity:.2f} | {cells} | {max(run['error'] for run in runs):.0e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
