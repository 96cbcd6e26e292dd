"""How many frames there will be, and when the first was taken: what is known before they are read."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

from netvlad.video.decoding import opened
from netvlad.video.frames import listed

SINCE_1970 = 1e9  # seconds: a later time of a list is that of a clock (2001 and on), an earlier one counts from a start


def expected(source: str | os.PathLike[str], every: float | None = None, rate: float | None = None) -> int | None:
    """About how many frames `read_frames` yields; None where a video does not say. Raises NetvladError."""
    entries = listed(Path(source), rate)
    if entries is None:
        with opened(source) as (container, stream):
            seconds = container.duration / 1e6 if container.duration else None
            count = stream.frames or (round(seconds * float(stream.average_rate or 0)) if seconds else 0)
        if every and seconds:
            return min(count or int(seconds / every) + 1, int(seconds / every) + 1)
        return count or None
    if not every:
        return len(entries)
    count, due = 0, entries[0][0]
    for t, _ in entries:
        if t >= due - 1e-6:
            count, due = count + 1, t + every
    return count


def started(source: str | os.PathLike[str]) -> datetime | None:
    """The UTC time, without a zone, at which a frame's `t` is 0; None where it is not known. Raises NetvladError.

    A video states when it was made, which most cameras take for its first frame. Times of a list that are seconds since
    1970 need nothing more.
    """
    entries = listed(Path(source), None)
    if entries is not None:
        return datetime(1970, 1, 1) if entries[0][0] >= SINCE_1970 else None
    with opened(source) as (container, stream):
        text = stream.metadata.get("creation_time") or container.metadata.get("creation_time") or ""
    try:
        made = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    made = made.astimezone(timezone.utc).replace(tzinfo=None) if made.tzinfo else made
    return made if made.year > 1970 else None  # some cameras write the start of their clock, 1904 or 1970
