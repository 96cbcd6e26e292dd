"""Whole commands on damaged input: how they speak, and that every photo is in the map or named.

`netvlad index` of a folder with bad photos among good ones, `locate` of bad photos, of a damaged map, with odd
arguments; a twentieth of them as processes of their own, the others as forks of one that has imported everything.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import netvlad
from soak import maps, world
from soak.image_damage import damage_image
from soak.image_seeds import write_seeds
from soak.images import seeds
from soak.map_damage import damage_map
from soak.mutate import Rng, pick
from soak.special import make_special
from soak.table_damage import damage_cells, odd_yaml
from soak.tries import Area, Done, Ended, Fault, check_speech, command

GOOD = 3
FRESH = 0.05  # share of commands that are processes of their own


def prepare(base: Path) -> None:
    write_seeds(base / "images")
    maps.prepare(base)
    world.write_model(base / "weights", base / "model", world.draw_photos(base / "photos", 10, 2, 6))


def attempt(base: Path, here: Path, rng: Rng) -> Done:
    kind = pick(rng, list(KINDS))
    return Done(KINDS[kind](base, here, rng))


def run(here: Path, rng: Rng, *words: object) -> Ended:
    """`netvlad WORDS`, checked for how it speaks."""
    if rng.random() >= FRESH:
        return command(here, *words)
    source = str(Path(netvlad.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-m", "netvlad", *map(str, words)],
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": source},
    )
    ended = Ended(ran.returncode, ran.stdout.decode("utf-8", "replace"), ran.stderr.decode("utf-8", "replace"))
    check_speech(ended)
    return ended


def _index(base: Path, here: Path, rng: Rng) -> str:
    """A folder of good photos, damaged ones and one that is no file: each is in the map, or named."""
    folder = here / "photos"
    folder.mkdir()
    for i in range(GOOD):
        (folder / f"good{i}.jpg").write_bytes(seeds(base)["good0.jpg"] + bytes([i]))
    names = _bad_photos(base, folder, rng)
    ended = run(here, rng, "index", folder, "--out", here / "out.vpr", "--model", base / "model", "--workers", 0)
    if ended.code:
        raise Fault("silent difference", f"{GOOD} good photos make no map: {ended.err}")
    told = [name for name in names if name in ended.err]
    for wanted in ("good0.jpg", "good1.jpg", "good2.jpg"):
        if wanted in ended.err:
            raise Fault("false alarm", ended.err)
    if len(names) > 20 or len(told) == len(names):
        return "index, all named"
    found = run(here, rng, "locate", folder / "good0.jpg", "--index", here / "out.vpr", "--top", 100, "--json")
    paths = {Path(match["path"]).name for match in json.loads(found.out)[0]["matches"]}
    lost = [name for name in names if name not in told and not any(name in path for path in paths)]
    # a photo whose content is in the map already is neither: two damaged ones may be equal
    if lost and f"{len(paths)} photos added, 0 were in it" in ended.err:
        raise Fault("unnamed", f"{lost} are neither in the map nor named: {ended.err}")
    return "index, some in the map"


def _bad_photos(base: Path, folder: Path, rng: Rng) -> list[str]:
    names = []
    for i in range(int(rng.integers(1, 8))):
        name = pick(rng, (f"bad{i}.jpg", f"bad {i}.png", f"bad\n{i}.jpg", f"b\x1b[31mad{i}.webp", f"bäd{i}.tif"))
        if rng.random() < 0.15:
            make_special(folder / name, seeds(base)["good0.jpg"], rng)
        else:
            (folder / name).write_bytes(damage_image(seeds(base), rng)[1])
        if not (folder / name).is_dir():
            names.append(name if name.isprintable() else f"{i}.")
    return names


def _locate(base: Path, here: Path, rng: Rng) -> str:
    """Bad photos are named and the exit code is 1; good ones are answered all the same."""
    names = _bad_photos(base, here, rng)
    paths = sorted(str(path) for path in here.iterdir() if not path.name.startswith("."))
    good = str(base / "photos-map" / "000_0.jpg")
    words = ["--json"] if rng.random() < 0.7 else []
    ended = run(here, rng, "locate", *paths, good, "--index", base / "map.vpr", *words)
    folders = any(os.path.isdir(path) for path in paths)
    if folders and ended.code == 1:
        return "locate, a folder without photos"
    if good not in ended.out:
        raise Fault("silent difference", f"a good photo beside {names} is not answered: {ended.err}")
    if words:
        answers = json.loads(ended.out)
        bad = [answer for answer in answers if "error" in answer]
        if len(answers) != len(paths) + 1 or bool(bad) != (ended.code == 1):
            raise Fault("unnamed", f"{len(answers)} answers to {len(paths) + 1} photos, exit code {ended.code}")
    return "locate, all answered"


def _damaged_map(base: Path, here: Path, rng: Rng) -> str:
    """A damaged map is refused, or asked; how right its answers are is another area's."""
    shutil.copytree(base / "map.vpr", here / "map.vpr")
    what = damage_map(here / "map.vpr", base / "other.vpr", rng)
    (here / "damage.txt").write_text(what)
    ended = run(here, rng, "locate", base / "photos-map" / "000_0.jpg", "--index", here / "map.vpr", "--json")
    if ended.code == 0:
        json.loads(ended.out)
    elif "map.vpr" not in ended.err:
        raise Fault("unnamed", f"{what}: {ended.err}")
    return "damaged map"


def _table(base: Path, here: Path, rng: Rng) -> str:
    """A table with odd cells: the command ends, and says how many rows were left out."""
    rows = ["path,lat,lon", *(f"{base}/photos-map/{i:03}_0.jpg,{31 + i / 1000},34.8" for i in range(8))]
    (here / "seed.csv").write_text("\n".join(rows) + "\n")
    damage_cells(here / "seed.csv", here / "table.csv", rng)
    run(here, rng, "index", here / "table.csv", "--out", here / "out.vpr", "--model", base / "model", "--workers", 0)
    return "table"


def _settings(base: Path, here: Path, rng: Rng) -> str:
    """Odd settings are refused before a run begins."""
    (here / "odd.yaml").write_bytes(odd_yaml(b"epochs: 0\nbatch: -4\nlr: x\n", rng))
    run(here, rng, "train", "--places", base / "photos", "--preset", here / "odd.yaml", "--out", here / "run")
    return "settings"


def _words(base: Path, here: Path, rng: Rng) -> str:
    """Odd arguments are refused."""
    long, nothing = "x" * 5000, here / "nowhere"
    odd = (nothing, "/dev/null", "/", "", ".", long, "a\udcff", "\x1b[31m", "--", here / "file" / "below", "/dev/full")
    (here / "file").touch()
    at = [pick(rng, odd) for _ in range(2)]
    words: tuple[object, ...] = pick(
        rng,
        (
            ("index", at[0], "--out", here / "o.vpr", "--model", base / "model"),
            ("index", base / "images", "--out", at[0], "--model", base / "model", "--workers", 0),
            ("index", base / "images", "--out", here / "o.vpr", "--model", at[0]),
            ("locate", at[0], "--index", base / "map.vpr"),
            ("locate", base / "images" / "good0.jpg", "--index", at[0]),
            ("locate", base / "images" / "good0.jpg", "--index", base / "map.vpr", "--map", at[0]),
            ("info", at[0]),
            ("fit", at[0], "--model", base / "model", "--out", at[1]),
            ("train", "--places", at[0], "--out", at[1]),
            ("train", "--resume", at[0]),
            ("town", "build", "--out", at[0], "--size", "huge"),
            ("evaluate", at[0], "--model", base / "model", "--out", at[1]),
        ),
    )
    if "" in map(str, words) or "." in map(str, words) or "/" in map(str, words):
        words = tuple(here / "nowhere" if str(word) in ("/", ".", "") else word for word in words)
    run(here, rng, *words)
    return "arguments"


KINDS = {
    "index": _index,
    "locate": _locate,
    "map": _damaged_map,
    "table": _table,
    "settings": _settings,
    "words": _words,
}
AREA = Area("commands", 0.05, prepare, attempt, 3, seconds=130.0)
