"""Indexes on the machines of a Ray cluster: each is a deployment of Ray Serve, which keeps its replicas alive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.cluster.describing import connected
from netvlad.errors import NetvladError, first_line
from netvlad.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from netvlad.search.vector_index import Searched

ASKED = 3  # replicas that a question is put to, where they die over it
Packed = tuple[bytes, int]  # a mask: its bits, and how many they are


class Replica:
    """What runs on the machines: one index, opened there."""

    def __init__(self, opened: Callable[[], Searched]) -> None:
        self._searched = opened()
        self._mask = lru_cache(maxsize=8)(unpacked)  # an index knows a mask again that it was asked with

    def search(self, vectors: FloatArray, k: int, among: Packed | None) -> tuple[FloatArray, IntArray]:
        """As `FlatIndex.search`."""
        return self._searched.search(vectors, k, None if among is None else self._mask(among))

    def vectors(self, rows: IntArray) -> FloatArray:
        """The vectors of `rows` (n,), (n, dim)."""
        return self._searched.vectors(rows)


class Deployed:
    """An index that is searched by replicas elsewhere. handle: of their deployment."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def search(self, vectors: FloatArray, k: int, among: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """As `FlatIndex.search`. Raises NetvladError where replicas die over it again and again."""
        found: tuple[FloatArray, IntArray] = self._ask("search", vectors, k, None if among is None else packed(among))
        return found

    def vectors(self, rows: IntArray) -> FloatArray:
        """The vectors of `rows` (n,), (n, dim). Raises NetvladError as `search`."""
        found: FloatArray = self._ask("vectors", rows)
        return found

    def _ask(self, method: str, *given: Any) -> Any:
        """What a replica answers. Ray Serve takes a dead one out, but does not put its questions to another."""
        from ray.exceptions import RayActorError, RayTaskError

        for left in reversed(range(ASKED)):
            try:
                return self._handle.options(method_name=method).remote(*given).result()
            except RayActorError as e:
                if not left:
                    raise NetvladError(f"{ASKED} replicas of a shard died over one question: {first_line(e)}") from e
            except RayTaskError as e:
                raise (e.cause if isinstance(e.cause, NetvladError) else e) from e
        raise AssertionError("is asked once at least")


@contextmanager
def deployed(
    address: str, name: str, indexes: Mapping[str, Callable[[], Searched]], replicas: int
) -> Iterator[list[Callable[[], Searched]]]:
    """Deploy `indexes` (name -> what opens it) on the cluster at `address`, and yield them, ready to be asked.

    Each has `replicas` replicas, which Ray spreads over the machines and starts anew where they die. name: of all of
    them together. They end with the context. Raises NetvladError where Ray is absent or does not answer, or an index
    cannot be opened.
    """
    ray, ours = connected(address)
    try:
        from ray import serve
    except ImportError as e:
        raise NetvladError(f"searching on a cluster needs Ray Serve ({e}): pip install 'netvlad[cluster]'") from e
    logging.getLogger("ray.serve").setLevel("WARNING")
    apps = [f"{name}-{index}" for index in indexes]
    how = {"num_replicas": replicas, "ray_actor_options": {"num_cpus": 0}, "max_constructor_retry_count": 2}
    make = serve.deployment(Replica, name="search", **how).bind
    try:
        serve.start(proxy_location="Disabled")  # HTTP is answered by others
        try:
            handles = serve.run_many(
                [
                    serve.RunTarget(make(opened), app, route_prefix=None)
                    for app, opened in zip(apps, indexes.values(), strict=True)
                ]
            )
        except RuntimeError as e:
            raise NetvladError(f"a shard cannot be opened on the cluster: {first_line(e)}") from e
        yield [partial(Deployed, handle) for handle in handles]
    finally:
        if ours:
            serve.shutdown()
            ray.shutdown()
        else:
            for app in apps:
                serve.delete(app)


def packed(mask: BoolArray) -> Packed:
    """A mask (N,) in few bytes."""
    return np.packbits(mask).tobytes(), len(mask)


def unpacked(mask: Packed) -> BoolArray:
    """The mask that `packed` was given, not to be written to."""
    bits, rows = mask
    found = np.unpackbits(np.frombuffer(bits, np.uint8), count=rows).astype(bool)
    found.flags.writeable = False
    return found
