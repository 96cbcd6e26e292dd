"""Kill workers, nodes, the command and the object store while a cluster describes photos, at random, many times.

    python benchmarks/cluster_faults.py out/demo/town/test/database/photos --tries 50

Each try describes the same photos of an object store into a new map there, on a Ray of two nodes of this machine, with
one to three faults at random moments. A command that was killed or refused is given again, as a person would. In the
end the map has to have the rows of an undisturbed run, in that order, with the same vectors bit for bit. Ends with 1
otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from object_store import ObjectStore

NODES, WORKERS = 2, 2
AGAIN = 10  # times that a command may be given
LONGEST = 600.0  # seconds of a command


class Machines:
    """A Ray of a head without cores and NODES nodes of one core, whose nodes may go."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        # the head holds no workers: were it to go, so would the cluster
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(NODES)]
        self.address = self.cluster.address

    def lose(self, rng: random.Random) -> None:
        """Take a node away at once, and put another in its place."""
        at = rng.randrange(NODES)
        self.cluster.remove_node(self.nodes[at], allow_graceful=False)
        self.nodes[at] = self.cluster.add_node(num_cpus=1)

    def workers(self) -> list[int]:
        """Processes that describe."""
        found = subprocess.run(["pgrep", "-f", "ray::Worker"], capture_output=True, text=True).stdout
        return [int(pid) for pid in found.split()]


def index(photos: str, out: str, address: str) -> subprocess.Popen[str]:
    """`netvlad index` on a cluster, under way."""
    command = [sys.executable, "-m", "netvlad", "index", photos, "--out", out, "--model", "tf_efficientnet_lite0-max"]
    command += ["--ray", address, "--ray-workers", str(WORKERS), "--workers", "0"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def harm(fault: str, running: subprocess.Popen[str], machines: Machines, store: ObjectStore, rng: random.Random) -> str:
    """Do it; what was done."""
    if fault == "worker":
        while not (there := machines.workers()) and running.poll() is None:
            time.sleep(0.1)
        if not there:
            return "no worker any more"
        with suppress(ProcessLookupError):
            os.kill(rng.choice(there), signal.SIGKILL)
    elif fault == "node":
        machines.lose(rng)
    elif fault == "command":
        running.send_signal(rng.choice([signal.SIGKILL, signal.SIGINT]))
    elif fault == "store stops":
        store.stop()
        time.sleep(rng.uniform(0.2, 8))
        store.start()
    elif fault == "store refuses":
        store.refusing = 0.4
        time.sleep(rng.uniform(1, 8))
        store.refusing = 0
    elif fault == "store is slow":
        store.slow = 0.3
        time.sleep(rng.uniform(1, 8))
        store.slow = 0
    return fault


FAULTS = ("worker", "node", "command", "store stops", "store refuses", "store is slow")


def attempt(photos: str, out: str, machines: Machines, store: ObjectStore, rng: random.Random, usual: float) -> Counter:
    """Describe under faults until it ends well; what happened. usual: seconds of an undisturbed run, at most."""
    happened: Counter[str] = Counter()
    coming = [rng.choice(FAULTS) for _ in range(rng.randint(1, 3))]
    for _ in range(AGAIN):
        running, start = index(photos, out, machines.address), time.monotonic()
        while coming and running.poll() is None:
            wait = start + rng.uniform(0.2, 0.9) * usual
            while time.monotonic() < wait and running.poll() is None:
                time.sleep(0.05)
            if running.poll() is None:
                happened[harm(coming.pop(), running, machines, store, rng)] += 1
        _, said = running.communicate(timeout=LONGEST)
        if "Traceback" in said:
            raise AssertionError(said)
        if running.returncode == 0:
            return happened + Counter({"was faster than the fault": len(coming)})
        happened["given again"] += 1
    raise AssertionError(f"did not end well in {AGAIN} commands: {said}")


def content(out: str) -> tuple[list[Any], bytes]:
    from netvlad.maps.index import PlaceIndex

    store = PlaceIndex.open(out).store
    held = store.held(["path", "digest", "lat", "lon"]).drop_columns(["_rowid", "absolute"]).to_pylist()
    return held, np.concatenate(list(store.vectors())).tobytes()


def main() -> int:
    from cluster_describe import photos_of
    from netvlad.runtime.addresses import write_address

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--tries", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        os.environ["NETVLAD_CACHE"] = f"{made}/cache"
        store = ObjectStore()
        store.start()
        store.make("maps")
        photos_of(given.photos, Path(made, "photos"), given.count)
        for file in Path(made, "photos").iterdir():
            write_address(f"s3://maps/photos/{file.name}", file.read_bytes())
        machines = Machines()
        start = time.monotonic()
        first = index("s3://maps/photos", "s3://maps/undisturbed.vpr", machines.address)
        _, said = first.communicate()
        if first.returncode:
            sys.exit(said)
        usual = time.monotonic() - start
        wanted = content("s3://maps/undisturbed.vpr")
        print(f"undisturbed: {len(wanted[0])} photos in {usual:.1f} s", flush=True)
        all_of_it: Counter[str] = Counter()
        failed = 0
        for seed in range(given.seed, given.seed + given.tries):
            out, start = f"s3://maps/{seed}.vpr", time.monotonic()
            try:
                happened = attempt("s3://maps/photos", out, machines, store, random.Random(seed), usual)
                same = content(out) == wanted
            except AssertionError as e:
                print(f"{seed}: {e}", flush=True)
                happened, same = Counter(), False
            usual = min(usual, time.monotonic() - start)
            all_of_it += happened
            failed += not same
            told = ", ".join(f"{n} x {what}" for what, n in happened.items())
            print(f"{seed}: {'the same' if same else 'NOT THE SAME'}; {told}", flush=True)
        print(f"{given.tries} tries, {failed} failed; " + ", ".join(f"{n} x {w}" for w, n in all_of_it.most_common()))
        machines.cluster.shutdown()
        store.stop()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
