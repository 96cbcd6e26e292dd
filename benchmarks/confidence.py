"""Does confidence mean something? Figures by map as a Markdown table, and a reliability diagram.

    python benchmarks/confidence.py [--sets west,tower,town,webcams,east] [--out OUT.png] [--vectors FOLDER]

Each map is calibrated on its own photos alone, once on the evidence that the package uses and once on that of 0.1.0,
and asked others: campus by the other light, floors of the tower by other walks, phone pictures of the town (needs the
town of `make demo`), webcams at other hours. One query in five, by weight, is a photo from elsewhere: of other sets.
Queries whose place is not in the map are left out. Choices were made on west, tower, town and webcams; east was asked
once.

    ECE       expected calibration error over 10 bins
    PR        area under the precision-recall curve of "right", photos from elsewhere among the wrong
    AUROC     of the confidence: right answers against photos from elsewhere
    refused   photos from elsewhere below the confidence that nine in ten right answers reach
    absent    photos from elsewhere that are called "not in this map", and right answers that are
    firm      wrong answers among those told as "probable"
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import netvlad
from common import SHARED, campus
from netvlad.describe.stream import describe_all
from netvlad.maps import calibrating
from netvlad.maps.confidence import ABSENT, ABSENT_SHARE, DEEP, RIGHT, Calibration, evidence
from netvlad.maps.ground import Ground, from_best
from netvlad.maps.location import PROBABLE
from netvlad.places import Places
from netvlad.places.place_matches import place_matches
from netvlad.report.plots import reliability_diagram

ELSEWHERE = 60  # photos of each other set


@dataclass
class Photos:
    """Places of a set and their vectors. site: sets of one site are never elsewhere to each other."""

    site: str
    places: Places
    vectors: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Photos:
        return Photos(self.site, self.places[rows], self.vectors[rows])


class Exact:
    """Vectors as a map holds them, and their search by brute force."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.held = vectors.astype(np.float16).astype(np.float32)

    def vectors(self, rows):
        return self.held[rows]

    def search(self, vectors, k, among=None):
        squared = np.maximum(2 - 2 * vectors @ self.held.T, 0)
        if among is not None:
            squared[:, ~among] = np.inf
        ids = np.argsort(squared, axis=1, kind="stable")[:, :k]
        squared = np.take_along_axis(squared, ids, 1)
        return squared, np.where(np.isfinite(squared), ids, -1)


def former_evidence(squared: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """That of 0.1.0: the distance of the best match, that of the best elsewhere beyond it, and support of ten."""
    same = apart <= 1
    second = squared[~same][0] if not same.all() else squared[-1]
    return np.array([squared[0], second - squared[0], same[:10].mean()])


EVIDENCE = {"0.1.0": former_evidence, "now": evidence}


def read_sets(town: Path) -> dict[str, tuple[str, Places]]:
    """Name -> site and places; of tower and webcams every second or third photo."""
    sets = {
        f"{side} {light}": ("campus", netvlad.read_places(campus() / f"{side}_{light}.csv"))
        for side in ("west", "east")
        for light in ("day", "night")
    }
    tower = netvlad.read_places(SHARED / "data" / "tower" / "places.csv")
    webcams = netvlad.read_places(SHARED / "data" / "webcams" / "places.csv")
    sets["tower"] = "tower", tower[np.flatnonzero(tower.split == "database")[::3]]
    sets["tower queries"] = "tower", tower[np.flatnonzero(tower.split == "query")[::2]]
    sets["webcams"] = "webcams", webcams[np.arange(0, len(webcams), 2)]
    drawn = netvlad.read_places(town / "val" / "places.parquet")
    sets["town"] = "town", drawn[np.flatnonzero(drawn.split == "database")]
    sets["town queries"] = "town", drawn[np.flatnonzero(drawn.split == "query")]
    return sets


def described(town: Path, kept: Path, east: bool) -> dict[str, Photos]:
    """All sets with vectors of the default model, fitted on a third of west; those of a run before are in `kept`.

    east: whether it is among them.
    """
    sets = {name: found for name, found in read_sets(town).items() if east or "east" not in name}
    model, found = None, {}
    kept.mkdir(parents=True, exist_ok=True)
    for name, (site, places) in sets.items():
        file = kept / f"{name.replace(' ', '_')}.npy"
        if not file.exists():
            if model is None:
                fit_on = [path for light in ("day", "night") for path in sets[f"west {light}"][1].path[::3]]
                model = netvlad.fit(netvlad.load("default"), fit_on, workers=0)
            np.save(file, describe_all(model, list(places.path), what=name, workers=0)[0])
        found[name] = Photos(site, places, np.load(file))
    return found


def cases(sets: dict[str, Photos], wanted: list[str]) -> Iterator[tuple[str, Photos, Photos, float]]:
    """Name, map, queries and radius."""
    for side in ("west", "east"):
        if side in wanted:
            for light, other in (("day", "night"), ("night", "day")):
                yield f"{side} {light}", sets[f"{side} {light}"], sets[f"{side} {other}"], 10.0
    for name in ("tower", "town"):
        if name in wanted:
            yield name, sets[name], sets[f"{name} queries"], 25.0
    if "webcams" in wanted:
        photos = sets["webcams"]
        quarter = photos.places.time.astype("datetime64[h]").astype(np.int64) % 24 // 6
        for q, hours in ((0, "0 to 6"), (2, "12 to 18")):
            yield f"webcams but {hours} h", photos[quarter != q], photos[quarter == q], 25.0


def asked(learnt: Calibration, evidence_of, held: Photos, radius: float, vectors: np.ndarray):
    """(probabilities, rows of the best matches) of vectors."""
    squared, ids = Exact(held.vectors).search(vectors, DEEP)
    seen = [evidence_of(d, from_best(held.places[row], radius)) for d, row in zip(squared, ids, strict=True)]
    return learnt.probabilities(np.array(seen)), ids[:, 0]


def judged(name: str, sets: dict[str, Photos], held: Photos, queries: Photos, radius: float):
    """Print a line for each evidence; returns (confidence, right, weight) of the package's own."""
    rng = np.random.default_rng(0)
    foreign = [photos.vectors[rng.permutation(len(photos.vectors))[:ELSEWHERE]]
               for key, photos in sets.items()
               if photos.site != held.site and key not in ("tower", "town") and "east" not in key]  # fmt: skip
    elsewhere = np.concatenate(foreign)
    true = place_matches(queries.places, held.places, radius)
    queries = queries[np.flatnonzero(np.diff(true.offsets) > 0)]
    for label, evidence_of in EVIDENCE.items():
        calibrating.evidence = evidence_of
        learnt, why = calibrating.calibrate(held.places, Exact(held.vectors), radius)
        assert learnt is not None, why
        found, best = asked(learnt, evidence_of, held, radius, queries.vectors)
        ground = Ground.of(Places.concat([queries.places, held.places]), radius)
        pairs = np.arange(len(best)), (len(best) + best)[:, None]
        right = ground.apart(*pairs)[:, 0] <= 1
        away = asked(learnt, evidence_of, held, radius, elsewhere)[0]
        sure = np.r_[found[:, RIGHT], away[:, RIGHT]]
        correct = np.r_[right, np.zeros(len(away), bool)]
        weight = np.r_[
            np.full(len(found), (1 - ABSENT_SHARE) / len(found)), np.full(len(away), ABSENT_SHARE / len(away))
        ]
        firm = sure >= PROBABLE
        figures = [
            f"{100 * right.mean():.0f} % of {len(right)}",
            f"{calibration_error(sure, correct, weight):.3f}",
            f"{precision_recall(sure, correct, weight):.2f}",
            f"{auroc(found[right, RIGHT], away[:, RIGHT]):.2f}",
            percent(away[:, RIGHT] < np.quantile(found[right, RIGHT], 0.1)),
            f"{percent(away[:, ABSENT] > away[:, RIGHT])}, {percent(found[right, ABSENT] > found[right, RIGHT])}",
            f"{100 * weight[firm & ~correct].sum() / max(weight[firm].sum(), 1e-9):.0f} %" if firm.any() else "-",
        ]
        print(f"| {name} | {label} | " + " | ".join(figures) + " |", flush=True)
    return sure, correct, weight


def percent(which: np.ndarray) -> str:
    return f"{100 * which.mean():.0f} %"


def calibration_error(sure: np.ndarray, right: np.ndarray, weight: np.ndarray) -> float:
    which = np.minimum((10 * sure).astype(int), 9)
    return float(np.abs(np.bincount(which, weight * (sure - right), 10)).sum() / weight.sum())


def precision_recall(sure: np.ndarray, right: np.ndarray, weight: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(right, sure, sample_weight=weight))


def auroc(right: np.ndarray, away: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.r_[np.ones(len(right)), np.zeros(len(away))], np.r_[right, away]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="west,tower,town,webcams")
    parser.add_argument("--out", type=Path, help="a reliability diagram of all queries (PNG)")
    parser.add_argument("--town", type=Path, default=Path("out/demo/town"))
    parser.add_argument("--vectors", type=Path, default=Path("out/confidence"), help="keeps the vectors of all sets")
    given = parser.parse_args()
    sets = described(given.town, given.vectors, "east" in given.sets)
    print("| map | evidence | answered right | ECE | PR | AUROC | refused | absent | firm |")
    print("|---|---|---|---|---|---|---|---|---|")
    every = [judged(name, sets, *rest) for name, *rest in cases(sets, given.sets.split(","))]
    if given.out:
        sure, right, weight = (np.concatenate(column) for column in zip(*every, strict=True))
        drawn = np.random.default_rng(0).choice(len(sure), len(sure), p=weight / weight.sum())
        error = reliability_diagram(sure[drawn], right[drawn], given.out)
        print(f"\nexpected calibration error of all {error:.3f}; wrote {given.out}")


if __name__ == "__main__":
    main()
