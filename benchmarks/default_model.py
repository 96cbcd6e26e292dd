"""The default model, its parts and what was tried beside them, as Markdown tables: recall@1/5/10 by set.

Every method sees the same feature maps (tf_efficientnet_lite0); its centres and its projection are fitted on the
database photos. Campus: both halves in both directions, within 10 and 25 m. Tower: floors. Webcams: the photos of each
quarter of the day against those of the others. Town: phone pictures within 25 m (needs the town of `make demo`).

    python benchmarks/default_model.py --sets west,tower,webcams,town [--methods NAME ...] [--seeds 3]
    python benchmarks/default_model.py --costs

Choices were made on west, tower, webcams and the town; east was judged once, at the end.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import netvlad
from common import SHARED, campus, interleaved
from netvlad.describe.burst import VLADBuFF
from netvlad.describe.default import packaged_normalisation
from netvlad.describe.stream import decode_for
from netvlad.describe.vlad import NetVLAD, kmeans
from netvlad.describe.whitening import fit_projection
from netvlad.places.neighbours import radius_neighbors

BACKBONE, K = "tf_efficientnet_lite0", 64


@dataclass
class Task:
    """Rows of a set's photos that are database and queries, and the true matches of each query."""

    name: str
    database: np.ndarray
    queries: np.ndarray
    matches: list[np.ndarray]


# -- poolings that were tried; the package has those that pay ----------------------------------------------------------


class Variant(VLADBuFF):
    """NetVLAD with other weights of locations than those of VLAD-BuFF. strength: of the weights."""

    def __init__(self, channels: int, clusters: int, strength: float) -> None:
        super().__init__(channels, clusters)
        self.strength = strength


class GeneralisedMax(Variant):
    """Each location weighed so that all count alike in the sum (Murray and Perronnin 2014); equal as strength grows."""

    def weighted(self, assignment, x, inverse, mask):
        unit = x * inverse
        kernel = unit.transpose(1, 2) @ unit + self.strength * torch.eye(x.shape[2])
        weights = torch.linalg.solve(kernel, torch.ones(len(x), x.shape[2], 1))
        return assignment * weights.transpose(1, 2).clamp_min(0)


class Dustbin(Variant):
    """Assignment by three of Sinkhorn's iterations with a dustbin of the score `strength` (SALAD)."""

    def weighted(self, assignment, x, inverse, mask):
        scores = assignment.clamp_min(1e-12).log()
        n, k, length = scores.shape
        scores = torch.cat([scores, torch.full((n, 1, length), self.strength)], 1)
        rows = torch.full((k + 1,), length / (k + 1)).log()[None, :, None]
        for _ in range(3):
            scores = scores - scores.logsumexp(2, keepdim=True) + rows
            scores = scores - scores.logsumexp(1, keepdim=True)
        return scores[:, :-1].exp()


class NoCentres(VLADBuFF):
    """Sums of descriptors instead of residuals (as in SuperVLAD)."""

    def weighted(self, assignment, x, inverse, mask):
        return assignment

    def residuals(self, x, mask):
        return super().residuals(x, mask) + self.counts(x) * self.centres

    def counts(self, x):
        """Assignment to each cluster (N, K, 1), which equation 4 takes the centres off by."""
        unit = F.normalize(x, dim=1)
        return torch.matmul(self.weight, unit).softmax(1).sum(2, keepdim=True)


class Ghosts(NetVLAD):
    """The clusters of least use, those that most photos have most of, are left out of the vector (GhostVLAD)."""

    ghosts = 8

    def normalise(self, residuals):
        return super().normalise(residuals[:, self.ghosts :])

    def initialise(self, centres, descriptors):
        super().initialise(centres, descriptors)
        share = (torch.as_tensor(descriptors) @ self.weight.T).softmax(1).mean(0)
        order = share.argsort(descending=True)
        self.weight.copy_(self.weight[order])
        self.centres.copy_(self.centres[order])


@dataclass
class Method:
    """pooling(channels) -> the layer. local: normalise by the packaged cameras. reduce: PCA of local descriptors."""

    pooling: Callable[[int], NetVLAD]
    local: bool = False
    reduce: int | None = None
    dim: int | None = None
    power: float = 0.25
    scales: tuple[float, ...] = (1.0,)


METHODS = {
    "max pooling": Method(lambda c: Max()),
    "netvlad": Method(lambda c: NetVLAD(c, K)),
    "netvlad, 512 numbers, PCA": Method(lambda c: NetVLAD(c, K), dim=512, power=0.0),
    "netvlad, 512 numbers, half whitened": Method(lambda c: NetVLAD(c, K), dim=512),
    "netvlad, 512 numbers, whitened": Method(lambda c: NetVLAD(c, K), dim=512, power=0.5),
    "normalised": Method(lambda c: NetVLAD(c, K), local=True),
    "default": Method(lambda c: NetVLAD(c, K), local=True, dim=512),
    "default, 256 numbers": Method(lambda c: NetVLAD(c, K), local=True, dim=256),
    "default, 128 numbers": Method(lambda c: NetVLAD(c, K), local=True, dim=128),
    "default with burst weights": Method(lambda c: VLADBuFF(c, K), local=True, dim=512),
    "burst weights": Method(lambda c: VLADBuFF(c, K)),
    "burst weights, 512 numbers": Method(lambda c: VLADBuFF(c, K), dim=512),
    "generalised max": Method(lambda c: GeneralisedMax(c, K, 10.0)),
    "dustbin": Method(lambda c: Dustbin(c, K, -2.0)),
    "without centres": Method(lambda c: NoCentres(c, K)),
    "8 ghosts": Method(lambda c: Ghosts(c, K + Ghosts.ghosts)),
    "64 channels": Method(lambda c: NetVLAD(c, K), reduce=64),
    "3 scales": Method(lambda c: NetVLAD(c, K), scales=(0.7, 1.0, 1.4)),
}


class Max(torch.nn.Module):
    """Max pooling, with the interface of the others."""

    def initialise(self, centres, descriptors) -> None:
        """Nothing to set."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x.amax((2, 3)) if x.ndim == 4 else x.amax(2), dim=1)


# -- sets --------------------------------------------------------------------------------------------------------------


def maps_of(model, paths: list[str], scale: float = 1.0) -> list[Tensor]:
    """The feature map (C, H, W) float16 of each photo, scaled first."""
    found: list[Tensor] = []
    with torch.inference_mode():
        for chunk in decode_for(model, paths):
            images = [photo.image[..., :3].copy() for photo in chunk]
            x = [model.prepare(image[None])[0] for image in images]
            if scale != 1:
                x = [F.interpolate(y[None], scale_factor=scale, mode="bilinear", antialias=True)[0] for y in x]
            for y in x:
                found.append(model.backbone(y[None])[0].half())
    return found


def tasks_of(name: str, places: netvlad.Places, town: Path) -> Iterator[Task]:
    if name in ("west", "east"):
        lights = {light: np.flatnonzero(places.split == light) for light in ("day", "night")}
        for radius in (10, 25):
            for d, q in (("day", "night"), ("night", "day")):
                database, queries = lights[d], lights[q]
                near = radius_neighbors(places[queries], places[database], radius)
                matches = [near.of(i)[0] for i in range(len(queries))]
                yield Task(f"{name}, {q} in {d}, {radius} m", database, queries, matches)
    elif name == "webcams":
        hour = places.time.astype("datetime64[h]").astype(np.int64) % 24 // 6
        for quarter in range(4):
            yield labelled(name, places, np.flatnonzero(hour != quarter), np.flatnonzero(hour == quarter))
    elif name == "tower":
        split = np.array(places.split)
        yield labelled(name, places, np.flatnonzero(split == "database"), np.flatnonzero(split == "query"))
    else:
        split = np.array(places.split)
        database, queries = np.flatnonzero(split == "database"), np.flatnonzero(split == "query")
        near = radius_neighbors(places[queries], places[database], 25)
        yield Task(name, database, queries, [near.of(i)[0] for i in range(len(queries))])


def labelled(name: str, places: netvlad.Places, database: np.ndarray, queries: np.ndarray) -> Task:
    label = np.array(places.place)
    return Task(name, database, queries, [np.flatnonzero(label[database] == label[q]) for q in queries])


def read_set(name: str, town: Path) -> netvlad.Places:
    if name in ("west", "east"):
        lights = [netvlad.read_places(campus() / f"{name}_{light}.csv") for light in ("day", "night")]
        both = [
            np.array(getattr(lights[0], key).tolist() + getattr(lights[1], key).tolist())
            for key in ("path", "lat", "lon")
        ]
        split = ["day"] * len(lights[0]) + ["night"] * len(lights[1])
        return netvlad.Places.build(path=both[0], lat=both[1], lon=both[2], split=split)
    folder = town / "val" / "places.parquet" if name == "town" else SHARED / "data" / name / "places.csv"
    return netvlad.read_places(folder)


# -- judging -----------------------------------------------------------------------------------------------------------


def sample(maps: list[Tensor], rows: np.ndarray, change: Callable[[Tensor], Tensor], seed: int) -> np.ndarray:
    """50,000 local descriptors of up to 500 photos, as `netvlad fit` draws them."""
    rng = np.random.default_rng(seed)
    rows = rows if len(rows) <= 500 else np.sort(rng.choice(rows, 500, replace=False))
    each, taken = -(-50_000 // len(rows)), []
    for row in rows:
        x = F.normalize(change(maps[row].float()[None])[0].flatten(1), dim=0).T.numpy()
        taken.append(x[rng.permutation(len(x))[:each]])
    return np.concatenate(taken)[:50_000]


def vectors(maps: list[Tensor], rows: np.ndarray, pool: Callable[[Tensor], Tensor]) -> np.ndarray:
    shapes: dict[tuple[int, ...], list[int]] = {}
    for i, row in enumerate(rows):
        shapes.setdefault(tuple(maps[row].shape), []).append(i)
    out: dict[int, np.ndarray] = {}
    for group in shapes.values():
        for start in range(0, len(group), 16):
            part = group[start : start + 16]
            found = pool(torch.stack([maps[rows[i]] for i in part]).float())
            out |= dict(zip(part, found.numpy(), strict=True))
    return np.stack([out[i] for i in range(len(rows))])


def judged(best: np.ndarray, task: Task) -> np.ndarray:
    """Whether each query that has a true match finds one among its first 1, 5 and 10: (Q, 3) bool."""
    hits = [np.isin(b, m) for b, m in zip(best, task.matches, strict=True) if len(m)]
    return np.stack([np.array(hits)[:, :n].any(1) for n in (1, 5, 10)], axis=1)


@torch.inference_mode()
def ranked(method: Method, pyramid: dict[float, list[Tensor]], task: Task, seed: int, most: int) -> np.ndarray:
    """The ten best photos of the database for each query: (Q, 10). most: photos of the database to fit on."""
    fit_on = task.database
    if len(fit_on) > most:
        fit_on = np.sort(np.random.default_rng(seed).choice(fit_on, most, replace=False))
    maps = pyramid[1.0]
    if len(method.scales) > 1:  # the locations of all scales in one map of one row
        maps = [torch.cat([pyramid[s][i].flatten(1) for s in method.scales], 1)[:, None] for i in range(len(maps))]
    change: Callable[[Tensor], Tensor] = (
        packaged_normalisation(maps[0].shape[0]).of_maps if method.local else lambda x: x
    )
    channels = maps[0].shape[0]
    if method.reduce:
        x = sample(maps, fit_on, change, seed)
        basis = torch.from_numpy(np.linalg.svd(x - x.mean(0), full_matrices=False)[2][: method.reduce].copy())
        mean, channels = torch.from_numpy(x.mean(0)), method.reduce

        def change(x: Tensor) -> Tensor:
            flat = F.normalize(x.flatten(2), dim=1) - mean[:, None]
            return (basis @ flat).unflatten(2, x.shape[2:])

    pooling = method.pooling(channels)
    if not isinstance(pooling, Max):
        local = sample(maps, fit_on, change, seed)
        pooling.initialise(kmeans(local, len(pooling.weight), seed=seed), local)

    def pool(x: Tensor) -> Tensor:
        return pooling(change(x))

    database, queries = vectors(maps, task.database, pool), vectors(maps, task.queries, pool)
    if method.dim:
        projection = fit_projection(database[np.isin(task.database, fit_on)], method.dim, power=method.power, seed=seed)
        database, queries = (projection(torch.from_numpy(v)).numpy() for v in (database, queries))
    return np.argsort(-queries @ database.T, axis=1, kind="stable")[:, :10]


def costs() -> None:
    """Print ms and bytes a photo of 192x256, the models in turns, by the number of threads."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (8, 24, 32, 3), np.uint8)
    photos = [np.asarray(Image.fromarray(x).resize((256, 192))) for x in noise]
    names = ("resnet18-max", "resnet18-netvlad", f"{BACKBONE}-max", f"{BACKBONE}-netvlad", "default", "densevlad")
    models = {name: netvlad.load(name) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{i}.png") for i in range(len(photos))]
        for photo, path in zip(photos, paths, strict=True):
            Image.fromarray(photo).save(path)
        for model in models.values():
            if not model.ready:
                netvlad.fit(model, paths, workers=0)
    print("| model | numbers | bytes | ms, 1 thread | ms, 2 threads |\n|---|---|---|---|---|")
    runs = {name: lambda model=model: model.describe(photos) for name, model in models.items()}
    times = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        times.append(interleaved(runs, rounds=9))
    for name, model in models.items():
        one, two = (1000 * found[name] / len(photos) for found in times)
        print(f"| {name} | {model.dim} | {2 * model.dim} | {one:.1f} | {two:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="west,tower,webcams,town")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--town", type=Path, default=Path("out/demo/town"))
    parser.add_argument("--fit-on", type=int, default=10**9, help="photos of the database to fit on; all by default")
    parser.add_argument("--backbone", default=BACKBONE, help="another, for methods without normalisation")
    parser.add_argument("--costs", action="store_true", help="measure time and bytes instead")
    given = parser.parse_args()
    campus()  # also sets NETVLAD_WEIGHTS, for ResNet-18
    if given.costs:
        costs()
        return
    model = netvlad.load(f"{given.backbone}-max")
    for name in given.sets.split(","):
        places = read_set(name, given.town)
        tasks = list(tasks_of(name, places, given.town))
        scales = {scale for method in given.methods for scale in METHODS[method].scales}
        pyramid = {scale: maps_of(model, places.path.tolist(), scale) for scale in scales}
        groups: dict[str, list[Task]] = {}
        for task in tasks:
            groups.setdefault(task.name, []).append(task)
        print("\n| recall@1/5/10, % | " + " | ".join(groups) + " | s |\n|---|" + "---|" * (len(groups) + 1), flush=True)
        for label in given.methods:
            start, cells = time.perf_counter(), []
            seeds = range(1 if label == "max pooling" else given.seeds)
            known: dict[tuple[bytes, int], np.ndarray] = {}  # several radii share their rankings
            for group in groups.values():
                runs = []
                for seed in seeds:
                    hits = []
                    for task in group:
                        key = task.database.tobytes() + task.queries.tobytes(), seed
                        if key not in known:
                            known[key] = ranked(METHODS[label], pyramid, task, seed, given.fit_on)
                        hits.append(judged(known[key], task))
                    runs.append(np.concatenate(hits))
                mean = 100 * np.mean(runs, axis=(0, 1))
                half = 196 * np.sqrt(mean[0] / 100 * (1 - mean[0] / 100) / len(runs[0]))
                cells.append(f"{mean[0]:.1f} ± {half:.1f} / {mean[1]:.1f} / {mean[2]:.1f}")
            print(f"| {label} | {' | '.join(cells)} | {time.perf_counter() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
