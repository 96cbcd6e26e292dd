"""View synthesis on a town: how true the views are, and what they do for recall, at what cost.

netvlad town build --size small --neighbourhoods 1 1 2 --dates 1 1 2 --queries 40 --width 2048 --out out/town
python benchmarks/synthesis.py out/town
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import netvlad
from common import VectorRanker
from netvlad.benchmarks.protocol import Protocol
from netvlad.describe.fit import fit
from netvlad.describe.stream import describe_all
from netvlad.describe.whitening import fit_whitening
from netvlad.evaluation.run import evaluate
from netvlad.panoramas.camera import Camera
from netvlad.panoramas.cut_outs import LAYOUTS, write_cut_outs
from netvlad.panoramas.panorama import cut_out, depth_path, read_depth, read_panorama
from netvlad.panoramas.synthesis.render import Panorama, render
from netvlad.panoramas.synthesis.views import Settings, synthesise
from netvlad.places import Places

LIGHTS = ("day", "sunset", "night")
SIZE = (256, 192)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("town", type=Path)
    parser.add_argument("--models", nargs="*", default=["densevlad", "resnet18-netvlad"])
    parser.add_argument("--every", type=int, nargs="*", default=[1, 3], help="use every n-th stop of the survey")
    parser.add_argument("--keep", type=Path, help="a folder for cut-outs and views, which a second run need not make")
    parser.add_argument("--pictures", type=Path, help="a folder for views beside the real ones")
    options = parser.parse_args()
    fidelity(options.town, options.pictures)
    for every in options.every:
        with tempfile.TemporaryDirectory() as folder:
            recall(options.town, every, options.models, Path(options.keep or folder) / f"every_{every}")


def fidelity(town: Path, pictures: Path | None) -> None:
    """Each view at a panorama's true position, cast from the stop before it on the same date, against the real one."""
    import pyarrow.parquet as pq

    truth = {row["name"]: row for row in pq.read_table(town / "test" / "truth.parquet").to_pylist()}
    panoramas = netvlad.read_places(town / "test" / "panoramas.parquet")
    quality, holes, metres, seconds = [], [], [], []
    for a, b in zip(panoramas.panorama[:-1], panoramas.panorama[1:], strict=True):
        apart = np.array([truth[b][k] - truth[a][k] for k in ("easting", "northing", "height")])
        if a[:7] != b[:7] or not 2 < np.linalg.norm(apart) < 20:  # another date, or round a corner
            continue
        photo = town / "test" / "panoramas" / f"{a}.jpg"
        source = Panorama(read_panorama(photo), read_depth(depth_path(photo)), truth[a]["heading"])
        real = read_panorama(town / "test" / "panoramas" / f"{b}.jpg")
        cameras = [Camera(h, 12.0, 0.0, 60.0, *SIZE) for h in range(0, 360, 30)]
        start = time.perf_counter()
        views = list(render([source], [apart], cameras, Settings().max_stretch))
        seconds.append((time.perf_counter() - start) / len(views))
        for camera, view in zip(cameras, views, strict=True):
            wanted, defined = cut_out(real, camera, truth[b]["heading"]), view[..., 3] > 0
            holes.append(1 - defined.mean())
            if defined.any():
                error = (view[..., :3].astype(float) - wanted)[defined]
                quality.append(10 * np.log10(255**2 / np.mean(error**2)))
                metres.append(np.linalg.norm(apart))
                if pictures and len(quality) % 60 == 1:
                    pictures.mkdir(parents=True, exist_ok=True)
                    pair = np.concatenate([view[..., :3] * defined[..., None], wanted], axis=1)
                    Image.fromarray(pair).save(pictures / f"{b}_h{camera.heading:03.0f}.png")
    print(
        f"{len(quality)} views {np.mean(metres):.1f} m from their panorama: PSNR on defined pixels median "
        f"{np.median(quality):.1f} dB (10th to 90th percentile {np.percentile(quality, 10):.1f} to "
        f"{np.percentile(quality, 90):.1f}), holes {100 * np.mean(holes):.1f} %, {1000 * np.mean(seconds):.0f} ms for "
        f"a view of {SIZE[0]}x{SIZE[1]}"
    )


def recall(town: Path, every: int, models: list[str], folder: Path) -> None:
    panoramas = netvlad.read_places(town / "test" / "panoramas.parquet")
    stop = np.array([int(name.rpartition("_")[2]) for name in panoramas.panorama])
    panoramas = panoramas[stop % every == 0]
    queries = netvlad.read_places(town / "test" / "queries" / "places.parquet")
    real = write_cut_outs(panoramas, folder / "real", LAYOUTS["tokyo"].sized(*SIZE))
    start = time.perf_counter()
    made = synthesise(panoramas, folder / "virtual", Settings(width=SIZE[0], height=SIZE[1]))
    seconds = time.perf_counter() - start
    print(
        f"every {every}. stop: {len(panoramas)} panoramas, {len(real)} cut-outs; {made.positions} virtual "
        f"positions, {len(made.places)} views ({made.skipped} with too many holes left out, "
        f"{100 * made.holes:.0f} % holes in those kept) in {seconds:.0f} s",
        flush=True,
    )
    for name in models:
        model = netvlad.load(name)
        if not model.ready:
            fit(model, real.path, seed=0)  # on the real photos, for both databases
        start = time.perf_counter()
        vectors = [describe_all(model, places.path)[0] for places in (real, made.places, queries)]
        each = 1000 * (time.perf_counter() - start) / sum(len(v) for v in vectors)
        print(f"  {name}: {each:.0f} ms a photo", flush=True)
        compare(name, vectors, real, made.places, panoramas, queries)


def compare(name: str, vectors: list[np.ndarray], real: Places, virtual: Places, panoramas: Places, queries: Places):
    """Over real photos and over real and virtual ones: as described, and whitened on the database that is searched."""
    light = np.array([Path(path).name.split("_")[2] for path in queries.path])
    gap = np.linalg.norm(queries.xyz[:, None] - panoramas.xyz[None], axis=2).min(axis=1)
    for whiten in (None, 256):
        first = {}
        for kind in ("real", "real and virtual"):
            database = real if kind == "real" else Places.concat([real, virtual])
            held, asked = np.concatenate(vectors[:1] if kind == "real" else vectors[:2]), vectors[2]
            if whiten:
                chosen = np.random.default_rng(0).permutation(len(held))[:2000]
                whitening = fit_whitening(held[chosen], whiten)
                held, asked = (whitening(torch.from_numpy(x)).numpy() for x in (held, asked))
            protocol = Protocol(radius=25.0, ns=(1, 5, 10), best_per_panorama=True)
            ranker = VectorRanker(held, dict(zip(queries.path, asked, strict=True)))
            found = evaluate({name: ranker}, database, queries, protocol)
            # virtual positions reach farther than real ones: both are judged on queries that a real photo is near to
            judged = found.judged & (gap <= 25)
            median = np.median(gap[judged])
            groups = {"all": judged, **{k: judged & (light == k) for k in LIGHTS}}
            groups |= {f"<= {median:.0f} m": judged & (gap <= median), f"> {median:.0f} m": judged & (gap > median)}
            cells = []
            for group, rows in groups.items():
                share = [100 * found.methods[0].correct[rows][:, :n].any(axis=1).mean() for n in (1, 5)]
                cells.append(f"{group} ({rows.sum()}) " + " / ".join(f"{s:.1f}" for s in share))
            print(
                f"    {held.shape[1]}-D{' whitened' * bool(whiten)}, {kind}, {len(database)} photos, "
                f"{held.nbytes / 2**20:.0f} MiB: " + "; ".join(cells),
                flush=True,
            )
            first[kind] = found.methods[0].correct[:, 0]
        before, after = first["real"], first["real and virtual"]
        gains = [f"{group} {_gain(before[rows], after[rows])}" for group, rows in groups.items()]
        print(f"      gain in recall@1: {'; '.join(gains)}", flush=True)


def _gain(before: np.ndarray, after: np.ndarray) -> str:
    """Points, and the 95 % interval of 10,000 draws of the queries."""
    gain = 100.0 * (after.astype(float) - before)
    drawn = np.random.default_rng(0).integers(len(gain), size=(10_000, len(gain)))
    low, high = np.percentile(gain[drawn].mean(axis=1), [2.5, 97.5])
    return f"{gain.mean():+.1f} ({low:+.1f} to {high:+.1f})"


if __name__ == "__main__":
    main()
