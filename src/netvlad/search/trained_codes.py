"""Codes that were learnt elsewhere: one rotation, one set of centres and codebooks for several indexes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from netvlad.errors import PlaceIndexWarning
from netvlad.runtime.files import atomic
from netvlad.search.search_file import seal, sealed_fingerprint

TRAINED = "search.trained"  # beside the search file


def write_trained(file: Path, codes: Any) -> None:
    """Write empty codes, as `compressed_build.trained` gives them, whole or not at all."""
    import faiss

    with atomic(file) as temporary:
        faiss.write_index(codes, str(temporary))
        seal(temporary, b"")


def read_trained(file: Path, dim: int) -> Any:
    """The codes in `file`; None where there are none, or none for vectors of `dim` numbers.

    Warns with PlaceIndexWarning of a file that is damaged: others are learnt then.
    """
    import faiss

    if not file.exists():
        return None
    try:
        codes = faiss.read_index(str(file)) if sealed_fingerprint(file) is not None else None
    except (OSError, RuntimeError):  # the last is faiss's own
        codes = None
    if codes is None or codes.d != dim:
        warnings.warn(f"{file}: is damaged; centres are learnt from this map alone", PlaceIndexWarning, stacklevel=5)
        return None
    return codes
