"""Describing photos on the machines of a Ray cluster: in the chunks of one machine, so that vectors are the same."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netvlad.errors import NetvladError, first_line
from netvlad.images.decode import CHUNK
from netvlad.runtime.counted import counted

if TYPE_CHECKING:
    from netvlad.describe.stream import Contents, Described

STRETCH = 4 * CHUNK  # photos of one task: a worker decodes the next chunk while it describes one
QUEUED = 2  # tasks of each worker that are under way, the one that it works on included
LISTENS = 5.0  # seconds in which a cluster has to take a connection
RETRIES = 3  # of a task whose worker died, by Ray
Stretch = tuple[int, list[str], list[int]]  # its first row, its paths, and which of these are to be described


@dataclass(frozen=True)
class Cluster:
    """Machines that describe: a Ray cluster at `address`, as 10.0.0.1:6379.

    auto: the cluster of this machine, or one that is started for the time of the work. gpus: of each worker.
    workers: processes that hold the model; by default as many as there are GPUs for, and without `gpus` one a core.
    trust_code: as in `netvlad.load`.
    """

    address: str = "auto"
    gpus: float = 0
    workers: int | None = None
    trust_code: bool = False


def cluster_given(address: str | None, gpus: float, workers: int | None, trust_code: bool) -> Cluster | None:
    """The cluster that somebody asks for, None without an address. Raises NetvladError for what needs one."""
    if address is not None:
        return Cluster(address, gpus, workers, trust_code)
    if gpus or workers:
        raise NetvladError("--num-gpus and --ray-workers are of a Ray cluster: give --ray auto, or its address, too")
    return None


class Worker:
    """What runs on the machines: the model, and photos through it.

    model: a reference to its files, in a list: Ray warns of objects that have to be there when a worker starts anew,
    and this one is kept for as long.
    """

    def __init__(self, model: Sequence[Any], trust_code: bool) -> None:
        import ray

        from netvlad.pretrained.zoo import load_folder

        files: dict[str, bytes] = ray.get(model[0])
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a mapped file on Windows
            for name, data in files.items():
                file = Path(folder, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            self.model = load_folder(Path(folder), trust_code=trust_code)

    def describe(self, stretch: Stretch, known: set[bytes] | None, workers: int) -> list[Described]:
        """As `describe_photos` of a stretch, with the rows of the whole list."""
        from netvlad.describe.stream import Contents, describe_photos

        first, paths, rows = stretch
        contents = None if known is None else Contents(known)
        chunks = describe_photos(self.model, paths, rows=rows, known=contents, workers=workers)
        return [_moved(chunk, first) for chunk in chunks]


def describe_on(
    cluster: Cluster,
    model: Path,
    paths: Sequence[str],
    rows: Sequence[int],
    *,
    known: Contents | None = None,
    workers: int | None = None,
) -> Generator[Described, None, None]:
    """Describe `rows` of `paths` on a cluster; yields what `describe_photos` yields, in order.

    model: its folder. workers: processes that decode for each worker (1); a file that makes one crash is unreadable.
    known: contents to skip, to which those that are described are added. They stay on this machine: a task that meets
    one is done once more without it.
    The photos must be there, by these paths, on every machine. Ray restarts workers that die. At most QUEUED tasks of
    each are under way and not yet taken. Raises NetvladError where Ray is absent, does not answer, or a task of STRETCH
    photos kills its worker again and again.
    """
    ray, ours = connected(cluster.address)
    from ray.exceptions import RayActorError, RayTaskError
    from ray.util import ActorPool

    actors: list[Any] = []
    decoders = 1 if workers is None else workers
    try:
        files = {f.relative_to(model).as_posix(): f.read_bytes() for f in model.rglob("*") if f.is_file()}
        make = ray.remote(num_cpus=1, num_gpus=cluster.gpus, max_restarts=-1, max_task_retries=RETRIES)(Worker).remote
        todo = stretches(paths, rows)
        held = ray.put(files)
        actors += [make([held], cluster.trust_code) for _ in range(min(_pool_size(ray, cluster), len(todo)))]
        ask = partial(_ask, once=known is not None, decoders=decoders)
        results = ActorPool(actors * QUEUED).map(ask, todo) if todo else iter(())
        for stretch, found in zip(todo, results, strict=True):
            if known is not None:
                contents = {digest for chunk in found for digest in chunk.digests}
                again = {digest for digest in contents if digest in known}
                if again:  # once more without these: who shares a chunk is as on one machine
                    found = ray.get(actors[0].describe.remote(stretch, again, decoders))
                for digest in contents:
                    known.add(digest)
            yield from found
    except RayTaskError as e:
        raise (e.cause if isinstance(e.cause, NetvladError) else e) from e
    except RayActorError as e:
        raise NetvladError(f"a worker of Ray died {RETRIES + 1} times at the same photos: {first_line(e)}") from e
    finally:
        for actor in actors:
            ray.kill(actor)
        if ours:
            ray.shutdown()


def workers_told(cluster: Cluster) -> str:
    """How many workers describe on how many machines, in words. Raises NetvladError as `describe_on`."""
    ray, _ = connected(cluster.address)
    needed = "GPU" if cluster.gpus else "CPU"
    machines = sum(node["Alive"] and node["Resources"].get(needed, 0) > 0 for node in ray.nodes())
    return f"{counted(_pool_size(ray, cluster), 'worker')} of Ray on {counted(machines, 'machine')}"


def connected(address: str) -> tuple[Any, bool]:
    """Ray, connected to the cluster at `address`, and whether it was not before. Raises NetvladError."""
    try:
        import ray
    except ImportError as e:
        raise NetvladError(f"describing on a cluster needs Ray ({e}): pip install 'netvlad[cluster]'") from e
    if ray.is_initialized():
        return ray, False
    try:
        _check_listening(address)
        ray.init(address=None if address == "auto" else address, log_to_driver=False, logging_level="warning")
    except (OSError, RuntimeError, ValueError) as e:
        told = f"no cluster of Ray answers at {address} ({first_line(e)})"
        raise NetvladError(f"{told}; `ray status --address {address}` shows one that runs, auto starts one") from e
    return ray, True


def _check_listening(address: str) -> None:
    """Raise OSError where nothing takes connections at host:port: Ray itself asks for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=LISTENS).close()


def stretches(paths: Sequence[str], rows: Sequence[int]) -> list[Stretch]:
    """Cut a list at multiples of STRETCH; those without any of `rows` are left out."""
    found: dict[int, list[int]] = {}
    for row in sorted(rows):
        found.setdefault(row - row % STRETCH, []).append(row % STRETCH)
    return [(first, list(paths[first : first + STRETCH]), within) for first, within in found.items()]


def _ask(actor: Any, stretch: Stretch, once: bool, decoders: int) -> Any:
    return actor.describe.remote(stretch, set() if once else None, decoders)


def _pool_size(ray: Any, cluster: Cluster) -> int:
    there = ray.cluster_resources()
    most = int(there.get("GPU", 0) / cluster.gpus) if cluster.gpus else int(there.get("CPU", 0))
    if most < 1:
        raise NetvladError(f"the cluster of Ray has no {'GPU' if cluster.gpus else 'core'} left for a worker")
    return most if cluster.workers is None else min(cluster.workers, most)


def _moved(chunk: Described, by: int) -> Described:
    return replace(
        chunk,
        rows=[row + by for row in chunk.rows],
        known={row + by: digest for row, digest in chunk.known.items()},
        unreadable={row + by: reason for row, reason in chunk.unreadable.items()},
    )
