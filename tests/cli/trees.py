"""Tiny trees in the published layouts of benchmarks, with photos: each query is the very picture of its right photo.

Scene s is one picture. `write(name, root)` writes a tree that the benchmark `name` reads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from netvlad.benchmarks.msls import CITIES
from netvlad.places import to_utm

SIZE = 32


def picture(scene: int) -> Image.Image:
    coarse = np.random.default_rng(scene).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def draw(path: Path, scene: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(scene).save(path, format="PNG")  # whatever the name says: no two pictures of a scene may differ


def struct(path: Path, database: list[str], queries: list[str], spots: dict, **more) -> None:
    """A dbStruct; `spots`: name -> metres to the north."""

    def cells(names):
        column = np.empty((len(names), 1), object)
        column[:, 0] = names
        return column

    def utm(names):
        return np.array([[381418.0] * len(names), [3946450.0 + spots[name] for name in names]])

    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"dbImageFns": cells(database), "utmDb": utm(database), "qImageFns": cells(queries), "utmQ": utm(queries)}
    savemat(path, {"dbStruct": {**fields, **more}})


def pittsburgh(name: str, root: Path) -> None:
    split = name.rpartition("-")[2]
    database = [f"000/00000{s}_pitch{p}_yaw1.jpg" for s in range(4) for p in (1, 2)]
    queries = [f"000/10000{s}_pitch1_yaw1.jpg" for s in range(3)]
    for i, photo in enumerate(database):
        draw(root / "images" / photo, i)
    for s, photo in enumerate(queries):
        draw(root / "queries_real" / photo, 2 * s)
    spots = {photo: 100 * (i // 2) for i, photo in enumerate(database)} | {q: 100 * s for s, q in enumerate(queries)}
    struct(root / "datasets" / f"{name.replace('-', '_')}.mat", database, queries, spots, whichSet=split)


def tokyo247(name: str, root: Path) -> None:
    database = [f"0381{s}/spot{s}_012_{30 * i}.jpg" for s in range(2) for i in range(12)]
    queries = [f"0000{s + 1}.jpg" for s in range(6)]
    for i, photo in enumerate(database):
        draw(root / "images" / photo.replace(".jpg", ".png"), i)
    for s, photo in enumerate(queries):
        draw(root / "query" / photo, 12 * (s % 2))
    spots = {photo: 500 * (i // 12) for i, photo in enumerate(database)}
    spots |= {photo: 500 * (s % 2) for s, photo in enumerate(queries)}
    struct(root / "datasets" / "tokyo247.mat", database, queries, spots)


def tokyo_tm(name: str, root: Path) -> None:
    """Of each spot a photo of the query's date, one of another date that looks alike, and its own neighbour's."""
    database = [f"a/{s}_{d}.jpg" for s in range(3) for d in range(2)]
    queries = [f"a/{s}_0.jpg" for s in range(3)]
    for i, photo in enumerate(database):
        draw(root / "images" / photo, i // 2)
    spots = {photo: 300 * (i // 2) for i, photo in enumerate(database)}
    stamps = {"dbTimeStamp": np.array([[200911.0, 201305.0] * 3]), "qTimeStamp": np.array([[200911.0] * 3])}
    path = root / "datasets" / f"tokyoTM_{name.rpartition('-')[2]}.mat"
    struct(path, database, queries, spots, **stamps)


def msls(name: str, root: Path) -> None:
    for c, city in enumerate(CITIES["train" if name == "msls-train" else "val"]):
        lat, lon = 10.0 + c, 20.0
        easting, northing, _ = to_utm(lat, lon)
        for which in ("database", "query"):
            folder = root / "train_val" / city / which
            rows = {"raw.csv": [",key,lon,lat,ca,captured_at,pano"], "subtask_index.csv": [",key,all"]}
            rows["postprocessed.csv"] = [",key,easting,northing,night"]
            for i in range(2):
                key = f"{city}{which}{i}"
                draw(folder / "images" / f"{key}.jpg", 10 * c + i)
                up = 300 * i
                rows["raw.csv"].append(f"{i},{key},{lon},{lat + up / 111_000},{90 * i + 10},2015-05-01,False")
                rows["postprocessed.csv"].append(f"{i},{key},{easting},{northing + up},{bool(i)}")
                rows["subtask_index.csv"].append(f"{i},{key},True")
            for file, lines in rows.items():
                (folder / file).write_text("\n".join(lines) + "\n")


def nordland(name: str, root: Path) -> None:
    frames = [f"images-{i:05d}.png" for i in range(1, 13)]
    for season in ("summer", "winter"):
        for i, frame in enumerate(frames):
            draw(root / season / frame, i)
    (root / "cleanImageNames.txt").write_text("\n".join(frames) + "\n")


def named(scene: int, north: float, label: str = "") -> str:
    return f"@0544388.51@{4172758.25 + north:.2f}@10@S@037.70098@-122.49646@{label}@@@@@@201606@{scene}@.jpg"


def at_names(name: str, root: Path) -> None:
    split = name.rpartition("-")[2] if name.startswith("at-named") else "test"
    queries = f"queries_{name[5:]}" if name.startswith("svox-") else "queries"
    if name.startswith("sf-xl"):
        version = "small" if "small" in name else "processed"
        split = "val" if name.endswith("val") else "test"
        queries = "queries" if split == "val" else f"queries_{name.rpartition('-')[2]}".replace("_test", "_v1")
        base = root / version / split
    else:
        base = root / "images" / split
    for s in range(4):
        draw(base / "database" / named(s, 100 * s, f"place{s}"), s)
    for s in range(2):
        draw(base / queries / named(s, 100 * s, f"place{s}"), s)


def oxford_paris(name: str, root: Path) -> None:
    """Queries are quarters of photos; what is right is a photo that shows such a quarter alone."""
    truth = root / ("gt_files_170407" if name == "oxford5k" else "paris_120310")
    truth.mkdir(parents=True, exist_ok=True)
    for s in range(3):
        draw(root / "images" / f"whole_{s}.jpg", s)
        quarter = picture(s).crop((0, 0, SIZE // 2, SIZE // 2))
        quarter.save(root / "images" / f"part_{s}.jpg", format="PNG")
        line = f"oxc1_whole_{s} 0 0 {SIZE // 2} {SIZE // 2}"
        files = {"query": line, "good": f"part_{s}\n", "ok": "", "junk": f"whole_{s}\n"}
        for kind, text in files.items():
            (truth / f"q_{s}_{kind}.txt").write_text(text)


def revisited(name: str, root: Path) -> None:
    kind = [(field, object) for field in ("bbx", "easy", "hard", "junk")]
    gnd = np.empty((1, 2), kind)
    for s in range(2):
        draw(root / "jpg" / f"q{s}.jpg", s)
        draw(root / "jpg" / f"easy{s}.jpg", s)
        picture(s).point(lambda v: min(255, v + 6)).save(root / "jpg" / f"hard{s}.jpg", format="PNG")
        draw(root / "jpg" / f"other{s}.jpg", 10 + s)
        cells = ([[0.0, 0, SIZE, SIZE]], [[2 * s + 1.0]], [[2 * s + 2.0]], [[]])
        gnd[0, s] = tuple(np.array(cell, np.float64) for cell in cells)
    images = ["easy0", "hard0", "easy1", "hard1", "other0", "other1"]
    lists = {"imlist": np.array(images, object)[:, None], "qimlist": np.array(["q0", "q1"], object)[None]}
    savemat(root / f"gnd_{name.partition('-')[0]}.mat", {**lists, "gnd": gnd})


def holidays(name: str, root: Path) -> None:
    for s in range(3):
        for i in range(2):
            draw(root / "jpg" / f"{1000 + s}0{i}.jpg", s)


def campus(name: str, root: Path) -> None:
    for light in ("day", "night"):
        rows = ["path,lat,lon,time"]
        for s in range(4):
            draw(root / "photos" / f"{light}{s}.jpg", s)
            rows.append(f"photos/{light}{s}.jpg,{31.26 + 1e-3 * s},34.8,2025-12-22T09:52:57")
        (root / f"east_{light}.csv").write_text("\n".join(rows) + "\n")


def vpr_bench(name: str, root: Path) -> None:
    for s in range(4):
        draw(root / "ref" / f"{s}.jpg", s)
    for s in range(2):
        draw(root / "query" / f"{s}.jpg", s)
    np.save(root / "ground_truth_new.npy", np.array([[0, 0], [1, 1]]))


WRITERS = {  # by the beginning of a name
    "pitts": pittsburgh,
    "tokyo247": tokyo247,
    "tokyo-tm": tokyo_tm,
    "msls": msls,
    "nordland": nordland,
    "oxford5k": oxford_paris,
    "paris6k": oxford_paris,
    "roxford5k": revisited,
    "rparis6k": revisited,
    "holidays": holidays,
    "campus": campus,
    "sf-xl": at_names,
    "at-named": at_names,
    "st-lucia": at_names,
    "eynsham": at_names,
    "svox": at_names,
    "amstertime": at_names,
    "sped": at_names,
    "vpr-bench": vpr_bench,
}


def write(name: str, root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    writer = next(writer for start, writer in WRITERS.items() if name.startswith(start))
    writer(name, root)
    return root
