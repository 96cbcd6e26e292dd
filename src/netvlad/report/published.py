"""How far results are off what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netvlad.benchmarks.published import PublishedResult

HEADLINE = (1, 5, 10)  # the N that every paper of the field gives


def compared(row: PublishedResult | None, found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What a report says of the published result that a method compares with: {} without one.

    found: group -> shares 0..1 in the order of the row. "off" holds this run's percentage points above the published
    ones.
    """
    if row is None:
        return {}
    off = {
        group: [round(100 * share - at, 2) for share, at in zip(found[group], numbers, strict=False)]
        for group, numbers in row.recalls.items()
        if group in found
    }
    percent = {group: list(numbers) for group, numbers in row.recalls.items()}
    return {"published": {"row": row.label, "percent": percent, "off": off}}
