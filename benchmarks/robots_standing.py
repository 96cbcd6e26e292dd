"""Cameras that stand still: how sure several of their frames are, against one.

    OMP_NUM_THREADS=1 python benchmarks/robots_standing.py SET --cache FOLDER

SET is a folder of photos with places.csv (path, place, and time or split). The map has the rows of the split
"database"; without splits, the earlier half of every second place, and the later halves of all are asked, so that half
of the places are new. Frames are asked in order of time, place by place. The model is the one that comes along, fitted
on 300 photos of the map. Nothing else is fitted: evidence is what a drive through the town taught.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

import netvlad
from netvlad.describe.stream import describe_all
from netvlad.sequences.averaging import averaged
from netvlad.sequences.evidence import DRIVE
from netvlad.sequences.hidden_markov import HiddenMarkov, Motion
from robots_drive import best, curve

LENGTHS = {"hidden Markov, 1 frame": 1, "hidden Markov, 5 frames": 5, "hidden Markov, all before": None}


def standing(folder: Path, cache: Path) -> None:
    with open(folder / "places.csv", encoding="utf-8") as file:
        table = sorted(csv.DictReader(file), key=lambda row: (row["place"], row.get("time", ""), row["path"]))
    place = np.unique([row["place"] for row in table], return_inverse=True)[1]
    held, asked = split(table, place)
    vectors = described(folder, [str(folder / row["path"]) for row in table], held, cache)
    x, y, at, true = vectors[held], vectors[asked], place[held], place[asked]
    known = np.isin(true, at)
    print(f"{folder.name}: {len(x)} photos of {len(set(at))} places; {len(y)} asked, {known.sum()} of them known")
    print("| frames | recall@1 | recall at 100 % precision | average precision |\n|---|---|---|---|")

    def show(name: str, found: np.ndarray, sure: np.ndarray) -> None:
        right = (found == true) & known
        _, _, whole, mean = curve(sure, right, known)
        print(f"| {name} | {100 * right.sum() / known.sum():.1f} | {100 * whole:.1f} | {100 * mean:.1f} |")

    ids, scores = best(2 * y @ x.T - 2, np.ones((len(y), len(x)), bool))
    show("single frames", at[ids[:, 0]], scores[:, 0])
    mean = np.concatenate([averaged(y[true == p], 5) for p in np.unique(true)])
    i, s = best(2 * mean @ x.T - 2, np.ones((len(y), len(x)), bool))
    show("averages of 5", at[i[:, 0]], s[:, 0])
    motion = Motion(0, 0, slack=0.5, span=len(x) / len(set(at)))  # no place follows another
    for name, length in LENGTHS.items():
        share = np.zeros((len(y), place.max() + 1))
        for p in np.unique(true):
            chain = HiddenMarkov(DRIVE, motion, length=length)
            for q in np.flatnonzero(true == p):
                one = chain.add(ids[q], scores[q], at[ids[q]].astype(float), float(q), len(x))
                share[q] = np.bincount(at[one.ids], one.probability, minlength=share.shape[1])
        show(name, share.argmax(axis=1), share.max(axis=1))


def split(table: list[dict[str, str]], place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are the map's, and which are asked."""
    if "split" in table[0]:
        held = np.array([row["split"] == "database" for row in table])
        return held, ~held
    first = np.searchsorted(place, place)
    early = np.arange(len(place)) - first < np.bincount(place)[place] / 2
    return early & (place % 2 == 0), ~early


def described(folder: Path, photos: list[str], held: np.ndarray, cache: Path) -> np.ndarray:
    file = cache / "default" / f"{folder.name}.npy"
    if not file.exists():
        own = [photo for photo, one in zip(photos, held, strict=True) if one]
        model = netvlad.fit(netvlad.load("default"), own[:: max(1, len(own) // 300)])
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, describe_all(model, photos, workers=0)[0])
    return np.load(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/robots"))
    given = parser.parse_args()
    standing(given.set, given.cache)


if __name__ == "__main__":
    main()
