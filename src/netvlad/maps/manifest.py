"""manifest.json: what an index was built with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netvlad.errors import PlaceIndexError
from netvlad.runtime.files import write_json
from netvlad.types import Describer

FORMAT = 1


def write_manifest(folder: Path, model: Describer, radius: float) -> None:
    """Write the manifest of an index of vectors by `model`."""
    built_with = {"name": model.name, "identity": model.identity, "dim": model.dim}
    write_json(folder / "manifest.json", {"format": FORMAT, "radius": radius, "model": built_with})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read it. Raises PlaceIndexError where there is none that this version reads."""
    file = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        version = manifest["format"]
    except FileNotFoundError as e:
        reason = "is not an index (no manifest.json in it); make one with `netvlad index`"
        raise PlaceIndexError(reason, path=folder) from e
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise PlaceIndexError(f"cannot be read ({type(e).__name__}: {e})", path=file) from e
    if version != FORMAT:
        raise PlaceIndexError(f"is an index of format {version!r}; this version reads format {FORMAT}", path=folder)
    return manifest
