"""calibration.json: the confidence of an index's answers, learnt anew where it is behind or damaged."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from netvlad.errors import PlaceIndexWarning, shortened
from netvlad.maps.calibrating import calibrate
from netvlad.maps.confidence import Calibration
from netvlad.maps.store import Store
from netvlad.runtime.files import read_sealed, write_sealed
from netvlad.search.vector_index import Searched

FORMAT = 2  # of the file; what an older one holds is learnt anew


def kept_calibration(
    file: Path, store: Store, searched: Callable[[], Searched], radius: float
) -> tuple[Calibration | None, str]:
    """The calibration of the rows of `store`, or None and the reason why there can be none.

    searched: gives the search of its answers, where it is needed. radius: metres up to which an answer counts as
    correct. Warns with PlaceIndexWarning of a file that is damaged.
    """
    fingerprint = store.fingerprint(len(store))
    if file.exists():
        try:
            found = read_calibration(file, len(store), fingerprint)
        except (OSError, ValueError) as e:
            reason = shortened(f"{file}: cannot be used ({type(e).__name__}: {e})", 300)
            warnings.warn(f"{reason}; it is made anew", PlaceIndexWarning, stacklevel=5)
        else:
            if found is not None:
                return found
    learnt, reason = calibrate(store.places(), searched(), radius)
    if store.is_newest():  # otherwise the file is that of a later version
        with suppress(OSError):  # an index on a read-only disk can still be asked
            write_calibration(file, store, learnt, reason)
    return learnt, reason


def write_calibration(file: Path, store: Store, learnt: Calibration | None, reason: str) -> None:
    """Write the calibration of the rows of `store`, or the reason why there is none. Raises OSError."""
    what = {"reason": reason} if learnt is None else learnt.to_dict()
    rows = store.fingerprint(len(store)).hex()
    write_sealed(file, {"format": FORMAT, "photos": len(store), "rows": rows, **what})


def read_calibration(file: Path, photos: int, fingerprint: bytes) -> tuple[Calibration | None, str] | None:
    """What the file holds; None where it is of other rows or another format.

    Raises OSError, or ValueError where it is damaged.
    """
    saved = read_sealed(file)
    if saved.pop("format", 1) != FORMAT:
        return None
    if (saved.pop("photos", None), saved.pop("rows", "")) != (photos, fingerprint.hex()):
        return None
    if "reason" in saved:
        return None, str(saved["reason"])
    return Calibration.from_dict(saved), ""
