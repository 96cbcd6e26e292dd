"""The frames of a long drive, for netvlad loops and locate: how far it is, and what is kept should it be stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netvlad.video.frames import Frame


def kept_drive(folder: Path, source: Path, **about: Any) -> AbstractContextManager[Path]:
    """`kept_until_done` for work on a video, folder or list as it is now."""
    from netvlad.runtime.kept_rows import kept_until_done

    state = source.stat() if source.exists() else None
    file = None if state is None else [state.st_size, state.st_mtime_ns]
    return kept_until_done(folder, {"source": str(source.resolve()), "file": file, **about})


def watched(
    source: Path,
    done: Sized | None = None,
    *,
    every: float | None = None,
    rate: float | None = None,
    lost: dict[str, str] | None = None,
) -> Iterator[Frame]:
    """`read_frames` with a line about progress. done: what grows with each frame that was not known before."""
    from netvlad.cli.common import say
    from netvlad.runtime.counted import counted
    from netvlad.runtime.progress import progress
    from netvlad.video.extent import expected
    from netvlad.video.frames import read_frames

    before = 0 if done is None else len(done)
    if before:
        say(f"goes on: {counted(before, 'frame is', 'frames are')} described")
    with progress(source.name, expected(source, every, rate), "frames", done=before) as advance:
        for frame in read_frames(source, every=every, rate=rate, lost=lost):
            yield frame
            now = before + 1 if done is None else len(done)
            advance(now - before)
            before = now
