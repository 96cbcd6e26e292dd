"""An index whose `add` is killed again and again ends as one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from netvlad.maps.index import PlaceIndex
from netvlad.places import Places, write_places

N = 200  # photos, in chunks of 32

# One process imports torch; each run of `netvlad index` is a fork of it, which kills itself, by SIGKILL, at a moment
# given as "module:attribute:call:before|after", or is killed from outside once so many rows are in.
RUNS = """
import os, signal, sys, time, importlib
import torch, timm.models.resnet, netvlad.describe.fit, netvlad.pretrained.zoo
import netvlad.cli.main, netvlad.cli.index

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def kill_at(where):
    module, name, call, when = where.split(":")
    holder = importlib.import_module(module)
    *outer, name = name.split(".")
    for part in outer:
        holder = getattr(holder, part)
    whole, calls = getattr(holder, name), []
    def dying(*args, **kwargs):
        calls.append(1)
        if len(calls) == int(call) and when == "before":
            die()
        result = whole(*args, **kwargs)
        if len(calls) == int(call):
            die()
        return result
    setattr(holder, name, dying)

def run(table, out, moment):
    pid = os.fork()
    if pid:
        return pid
    torch.set_num_threads(1)
    import netvlad.maps.adding
    netvlad.maps.adding.SECONDS = 0.0  # every chunk is a batch
    if ":" in moment:
        kill_at(moment)
    model = [] if os.path.exists(out + "/manifest.json") else ["--model", "test_resnet-netvlad", "--clusters", "8"]
    sys.argv = ["netvlad", "index", table, "--out", out, "--workers", "0", *model]
    netvlad.cli.main.main()

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

table, whole, killed, *moments = sys.argv[1:]
print(ended(run(table, whole, "")))
for moment in moments:
    pid = run(table, killed, moment)
    if moment.isdigit():  # once so many batches are there
        data, limit = killed + "/places.lance/data", time.time() + 60
        while time.time() < limit and len(os.listdir(data)) < int(moment):
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
    print(ended(pid), flush=True)
print(ended(run(table, killed, "")))
"""
MOMENTS = [
    "netvlad.describe.fit:sample_locals:1:after",  # centres half fitted
    "netvlad.maps.creating:Store.create:1:before",  # a model and nothing else
    "netvlad.maps.manifest:write_sealed:1:before",  # an empty table and no manifest
    "netvlad.maps.manifest:write_sealed:1:after",  # right after the manifest
    "netvlad.maps.store:Store.append:2:before",
    "lance:LanceDataset.commit:1:after",  # rows in, not yet flushed to the disk
    "4",  # anywhere
    "netvlad.search.flat_index:FlatIndex._write:1:before",  # all rows, no faiss file
    "netvlad.maps.calibration_file:calibrate:1:after",  # no calibration
]


def stored(index: PlaceIndex) -> list[dict]:
    """Path, stamp and content of each row."""
    return index.store.held(["path", "size", "mtime_ns", "digest"]).drop_columns(["_rowid"]).to_pylist()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_many_moments(photos, tmp_path, weights, assert_same_places):
    paths = [Path(p) for p in photos(N - 2, size=(48, 32))]
    broken = paths[0].with_name("broken.jpg")
    broken.write_text("no photo")
    copy = paths[0].with_name("copy.jpg")
    copy.write_bytes(paths[40].read_bytes())
    paths[70:70] = [broken]
    paths[20:20] = [copy]  # of one that comes later
    places = Places.build(path=paths, lat=31.26 + 1e-5 * np.arange(N), lon=34.8)
    write_places(places, tmp_path / "photos.csv")
    whole, killed = tmp_path / "whole.vpr", tmp_path / "killed.vpr"
    command = [sys.executable, "-c", RUNS, tmp_path / "photos.csv", whole, killed, *MOMENTS]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=900)
    codes = [int(line) for line in ran.stdout.split()]
    assert codes == [0, *[-signal.SIGKILL] * len(MOMENTS), 0], ran.stderr
    a, b = PlaceIndex.open(whole), PlaceIndex.open(killed)
    assert len(a) == N - 2
    assert_same_places(b.places, a.places)
    assert a.places.path.tolist() == [str(p) for p in paths if p not in (broken, paths[41])]
    assert a.model.identity == b.model.identity
    vectors = [np.concatenate(list(index.store.vectors())) for index in (a, b)]
    assert vectors[0].tobytes() == vectors[1].tobytes()
    assert stored(a) == stored(b)
    # the seals tell the two indexes apart
    assert (killed / "search.faiss").read_bytes()[:-40] == (whole / "search.faiss").read_bytes()[:-40]
    for name in ("calibration.json", "manifest.json"):
        one, other = (json.loads((folder / name).read_text()) for folder in (killed, whole))
        sealed = {"map", "rows", "checksum"}
        assert {k: v for k, v in one.items() if k not in sealed} == {k: v for k, v in other.items() if k not in sealed}
    assert b.locate(str(paths[99])).matches[0].path == str(paths[99])
