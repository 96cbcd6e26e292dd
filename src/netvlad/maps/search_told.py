"""What the search file of an index says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netvlad.maps.remote import fetch
from netvlad.maps.shard import Shard
from netvlad.maps.sharded import shard_place
from netvlad.search.compressed_file import read_about


def search_told(folder: Path, dim: int) -> dict[str, Any]:
    """Kind of the search of the index in `folder`, its bytes in memory, and what was measured when it was made.

    recall: share of the 10 nearest photos that it finds, against exact search. dim: of its vectors.
    """
    try:
        about = read_about(folder / "search.faiss")
    except (OSError, ValueError):  # none yet
        about = None
    if about is None:
        return {"kind": "exact", "recall": 1.0, "bytes_a_photo": 2 * dim}  # a number of a vector is a float16
    tuning, rows = about["tuning"], about["stored"]
    return {
        "kind": "compressed",
        "recall": round(tuning["recall"][0], 4),
        "measured_on": f"{tuning['asked']} photos of the map",
        "wanted": about["options"],
        "lists_probed": tuning["probed"][0],
        "rescored": tuning["rescored"][0],
        "bytes_a_photo": round(about["memory"] / max(1, rows), 1),
    }


def shards_told(folder: Path, dim: int, shards: Sequence[Shard]) -> dict[str, Any]:
    """The same of a map in shards: the worst of them, and bytes of all."""
    told = [search_told(fetch(shard_place(folder, shard.name), model=False), dim) for shard in shards]
    photos = sum(shard.photos for shard in shards)
    held = sum(each["bytes_a_photo"] * shard.photos for each, shard in zip(told, shards, strict=True))
    worst = min(told, key=lambda each: (each["kind"] == "exact", each["recall"]))
    return {**worst, "bytes_a_photo": round(held / max(1, photos), 1)}
