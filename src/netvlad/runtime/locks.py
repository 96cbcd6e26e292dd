"""One writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netvlad.errors import PlaceIndexError


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. It goes with the process, however that ends. Raises PlaceIndexError when it is held."""
    try:
        import fcntl
    except ImportError:  # Windows: no lock, as Lance still refuses two commits of one version
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise PlaceIndexError(f"another process is adding to {folder}; wait until it is done") from e
        yield
