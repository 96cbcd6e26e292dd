"""What the search file of an index says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
