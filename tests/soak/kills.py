"""Commands killed by SIGKILL at random moments, and run again until they end.

The state must then be that of a command that nobody disturbed, to the last bit: an index's vectors, places, search
file, calibration and manifest; a trained model; every file of a town.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from soak import world
from soak.mutate import Rng, pick
from soak.tries import HANG, Area, Done, Ended, Fault, check_speech, command, forked

VIEWS, PLACES = 2, 50
TOWN = (
    "--neighbourhoods 0 0 1 --streets 1 1 --spacing 50 --dates 1 1 1 --width 64 --visits 1 --queries 2 --photo 24 16 "
    "--workers 0"
)
TRAIN = "--preset fast --epochs 2 --batch 2 --refresh 8 --workers 0 --checkpoint-every 2"


@dataclass(frozen=True)
class Task:
    """A command that can be killed. words(base, out): its words, by what is there; digest(out): its state."""

    words: Callable[[Path, Path], list[object]]
    digest: Callable[[Path], dict[str, str]]


def index_words(base: Path, out: Path) -> list[object]:
    model = [] if (out / "manifest.json").exists() else ["--model", base / "model"]
    return ["index", base / "photos.csv", "--out", out, "--workers", 0, *model]


def fitting_words(base: Path, out: Path) -> list[object]:
    model = [] if (out / "manifest.json").exists() else ["--model", "test_resnet-netvlad", "--clusters", 4]
    return ["index", base / "few.csv", "--out", out, "--workers", 0, *model]


def train_words(base: Path, out: Path) -> list[object]:
    if (out / "config.yaml").exists():
        return ["train", "--resume", out, "--workers", 0]
    tables = ["--places", base / "train.csv", "--validate", base / "train.csv"]
    return ["train", *tables, "--model", base / "model", "--out", out, *TRAIN.split()]


def town_words(base: Path, out: Path) -> list[object]:
    return ["town", "build", "--seed", 5, "--out", out, *TOWN.split()]


def index_digest(out: Path) -> dict[str, str]:
    """Of all that it holds, but for what tells this map from any other and the table's files, which have a history."""
    import faiss

    from netvlad.maps.index import PlaceIndex

    index = PlaceIndex.open(out)
    found = {name: _without_names(out / name) for name in ("calibration.json", "manifest.json")}
    search = faiss.read_index(str(out / "search.faiss"))
    found["search.faiss"] = _of(search.reconstruct_n(0, search.ntotal).tobytes())
    places, held = index.places, index.store.held(["path", "size", "mtime_ns", "digest"])
    found["vectors"] = _of(b"".join(block.tobytes() for block in index.store.vectors()))
    found["places"] = _of(repr([list(places.path), places.lat.tolist(), places.time.tolist()]).encode())
    found["seen"] = _of(repr(held.drop_columns(["_rowid", "absolute"]).to_pylist()).encode())
    answer = index.locate(places.path[len(index) // 2]).to_dict()
    return {**found, "model": index.model.identity, "answer": repr(answer), "left over": repr(_left_over(out))}


def _without_names(file: Path) -> str:
    held = json.loads(file.read_text())
    return repr({key: value for key, value in held.items() if key not in ("map", "rows", "checksum", "root_from_map")})


def train_digest(out: Path) -> dict[str, str]:
    from safetensors.numpy import load_file

    arrays = load_file(out / "model.safetensors")
    epochs = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    told = [(epoch["number"], epoch["loss"], epoch["recall"], epoch["best"]) for epoch in epochs]
    found = {name: _of(np.ascontiguousarray(array).tobytes()) for name, array in sorted(arrays.items())}
    return {**found, "epochs": repr(told), "left over": repr(_left_over(out))}


def town_digest(out: Path) -> dict[str, str]:
    found = sorted(path for path in out.rglob("*") if path.is_file() and path.suffix != ".tmp")
    return {str(path.relative_to(out)): _of(path.read_bytes()) for path in found}


def _left_over(out: Path) -> list[str]:
    """Temporary files beside the results."""
    return sorted(path.name for path in out.iterdir() if path.name.endswith(".tmp"))


def _of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


TASKS = {
    "index": Task(index_words, index_digest),
    "fit and index": Task(fitting_words, index_digest),
    "train": Task(train_words, train_digest),
    "town": Task(town_words, town_digest),
}
SHARES = (0.68, 0.14, 0.14, 0.04)  # of tries; a town takes longest


def prepare(base: Path) -> None:
    """Write tables and a model, and run each command once without a kill."""
    from netvlad.places import write_places

    world.write_weights(base / "weights")
    paths = world.draw_photos(base / "photos", PLACES, VIEWS, 4)
    world.write_model(base / "weights", base / "model", paths[:20])
    places = world.street(paths, VIEWS)
    write_places(places, base / "photos.csv")
    write_places(places[np.arange(40)], base / "few.csv")
    write_places(places[np.arange(16)], base / "train.csv")
    write_places(places[np.arange(60)], base / "first.csv")  # of two that add at once
    write_places(places[np.arange(40, 2 * PLACES)], base / "second.csv")
    reference: dict[str, Any] = {}
    for name in TASKS:
        out = base / f"whole-{name.replace(' ', '-')}"
        begin = time.monotonic()
        ended = run_task(name, base, base, out)
        if ended.code:
            raise RuntimeError(f"{name}: {ended.err}")
        reference[name] = {"seconds": time.monotonic() - begin, "digest": _digest(name, base, out)}
    (base / "reference.json").write_text(json.dumps(reference))


@lru_cache(maxsize=1)
def _reference(base: Path) -> dict[str, Any]:
    return json.loads((base / "reference.json").read_text())  # type: ignore[no-any-return]


def draw_task(rng: Rng) -> str:
    """The name of a task."""
    return list(TASKS)[int(rng.choice(len(SHARES), p=SHARES))]


def run_task(name: str, base: Path, here: Path, out: Path, **options: Any) -> Ended:
    """Run the command of a task once more in a fork."""
    limits = options.pop("before", lambda: None)

    def before() -> None:
        import netvlad.maps.adding
        import netvlad.training.run_folder

        os.environ["NETVLAD_WEIGHTS"] = str(base / "weights")
        netvlad.maps.adding.SECONDS = 0.0  # every chunk is a batch
        netvlad.training.run_folder.draw_curves = lambda record, path: None  # drawing takes longer than these runs
        limits()

    # an undisturbed run sets the pace: what takes ten times as long hangs
    known = _reference(base)[name]["seconds"] if (base / "reference.json").exists() else 10 * HANG
    seconds = max(HANG, 10 * known)
    return command(here, *TASKS[name].words(base, out), before=before, seconds=seconds, **options)


def _digest(name: str, base: Path, out: Path) -> dict[str, str]:
    ended = forked(lambda: TASKS[name].digest(out), base if out.parent == base else out.parent)
    if ended.value is None:
        raise Fault("silent difference", f"the state of {name} cannot be read:\n{ended.err}")
    return ended.value  # type: ignore[no-any-return]


def check_state(name: str, base: Path, out: Path, what: str) -> None:
    """Raise Fault where the state differs from that of an undisturbed command."""
    got, wanted = _digest(name, base, out), _reference(base)[name]["digest"]
    differs = [key for key in {**got, **wanted} if got.get(key) != wanted.get(key)]
    if differs:
        first = f"{differs[0]}: {got.get(differs[0])}, not {wanted.get(differs[0])}"
        raise Fault("silent difference", f"{what}: {', '.join(differs)} differ; {first}")


def attempt(base: Path, here: Path, rng: Rng) -> Done:
    name = draw_task(rng)
    out, moments = here / "out", []
    whole = _reference(base)[name]["seconds"]
    kills, most = 0, int(rng.integers(1, 21))
    while kills < most:
        moments.append(float(rng.uniform(0.0, whole * pick(rng, (0.3, 0.6, 1.1)))))
        (here / "moments.txt").write_text(f"{name}, killed after seconds: {moments}\n")
        ended = run_task(name, base, here, out, kill_after=moments[-1])
        if ended.code and not ended.killed:
            raise Fault("unnamed", f"{name} fails after {kills} kills at {moments}: {ended.err}")
        if not ended.killed:
            break
        kills += 1
    ended = run_task(name, base, here, out)
    check_speech(ended)
    if ended.code:
        raise Fault("unnamed", f"{name} does not go on after {kills} kills at {moments}: {ended.err}")
    check_state(name, base, out, f"{name} after {kills} kills at {moments}")
    shutil.rmtree(out)
    return Done(name, kills)


AREA = Area("kills", 0.35, prepare, attempt, seconds=240.0)
