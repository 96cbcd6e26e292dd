"""Replicas of Ray Serve that are killed while they are asked: how many answers are wrong or missing?

    python benchmarks/cluster_kills.py MAP.shards --kills 20 --real real.npz

MAP.shards: as cluster_search.py makes it. Two replicas of each shard are asked by four threads, everywhere and in a
district; again and again one of them, chosen at random, is killed (SIGKILL, by Ray), once all are there.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cluster_search import K, regions
from scale_vectors import Drawn


def replicas(ray) -> list[str]:
    """Names of the actors that search, whether they are ready or not."""
    named = ray.util.list_named_actors(all_namespaces=True)
    return sorted(actor["name"] for actor in named if "SERVE_REPLICA::kills-" in actor["name"])


def ready() -> int:
    """How many replicas take questions."""
    from ray import serve

    apps = serve.status().applications.values()
    return sum(app.deployments["search"].replica_states.get("RUNNING", 0) for app in apps)


def main() -> None:
    import ray

    from netvlad.cluster.searching import deployed
    from netvlad.maps.sharded import open_snapshot, shard_searches

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("map", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--real", type=Path, required=True)
    given = parser.parse_args()
    queries = Drawn(given.real).queries[:20]
    here, mask = open_snapshot(given.map), None
    mask = here.mask(regions()["district"])
    mask.flags.writeable = False
    wanted = [[here.searched.search(q[None], K, among)[1].tolist() for q in queries] for among in (None, mask)]
    ended, times, wrong, failed = threading.Event(), [], [], []
    searches = shard_searches(given.map)
    with deployed("auto", "kills", searches, 2) as there:
        searched = open_snapshot(given.map, searches=there).searched

        def ask(seed: int) -> None:
            rng = random.Random(seed)
            while not ended.is_set():
                i, where = rng.randrange(len(queries)), rng.randrange(2)
                start = time.perf_counter()
                try:
                    found = searched.search(queries[i][None], K, (None, mask)[where])[1].tolist()
                except Exception as e:
                    failed.append(str(e))
                    continue
                times.append(time.perf_counter() - start)
                if found != wanted[where][i]:
                    wrong.append(i)

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, seed) for seed in range(4)]
            for kill in range(given.kills):
                time.sleep(1)
                while ready() < 2 * len(searches) or len(replicas(ray)) > 2 * len(searches):
                    time.sleep(0.2)
                ray.kill(ray.get_actor(random.Random(kill).choice(replicas(ray)), namespace="serve"))
                print(f"killed {kill + 1}, {len(times)} answers", file=sys.stderr, flush=True)
            time.sleep(2)
            ended.set()
            for done in asking:
                done.result()
    slowest = f"median {1e3 * np.median(times):.0f} ms, longest {max(times):.1f} s"
    print(f"{given.kills} killed; {len(times)} answers, {len(wrong)} wrong, {len(failed)} missing; {slowest}")
    print("\n".join(sorted(set(failed))[:5]))


if __name__ == "__main__":
    main()
