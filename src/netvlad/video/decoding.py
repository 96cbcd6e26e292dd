"""Frames of a video file, by PyAV (FFmpeg): upright, with their times; what is broken is lost alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from netvlad.errors import ImageError, NetvladError, first_line
from netvlad.types import Array

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_SUFFIXES = ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .3gp .ogv .flv .wmv .mjpeg .h264 .hevc"
SUFFIXES = tuple(_SUFFIXES.split())
RATE = 25.0  # frames a second of a stream that states neither times nor a rate
LOST = "broken frames"


def decoded(
    path: str | os.PathLike[str], every: float | None = None, lost: dict[str, str] | None = None
) -> Iterator[tuple[float, Array]]:
    """Yield (seconds since the first frame, (H, W, 3) uint8 RGB, turned upright) of the first video stream of a file.

    every: least number of seconds from one frame to the next; the rest is decoded and left out. Times never fall.
    Frames that cannot be decoded are left out; `lost` receives the path and how many. A stream that ends early ends
    there. Raises ImageError where there is no video or not one frame of it, NetvladError without PyAV.
    """
    av = _av()
    path = os.fspath(path)
    with opened(path) as (container, stream):
        step = 1 / float(stream.average_rate or RATE)
        first: float | None = None
        last, due, count, broken, ended = 0.0, 0.0, 0, 0, ""
        try:
            for frames, failed in _packets(av, container, stream):
                broken += failed
                for frame in frames:
                    if frame.is_corrupt:
                        broken += 1
                        continue
                    t = frame.time if frame.time is not None else (last + step if first is not None else 0.0)
                    first = t if first is None else first
                    last = max(t, last) if count else t
                    if last - first >= due - 1e-6:
                        image = _upright(frame)
                        count += 1
                        due = last - first + (every or 0.0)
                        yield last - first, image
        except av.error.FFmpegError as e:
            ended = f"ends early ({first_line(e)})"
        if not count:
            raise ImageError(f"no frame can be decoded{f': it {ended}' if ended else ''}", path=path)
        if lost is not None and (broken or ended):
            lost[path] = "; ".join(filter(None, [f"{broken} {LOST}" if broken else "", ended]))


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[Any, Any]]:
    """Open a video file: PyAV's container and its first video stream. Raises as `decoded`."""
    av = _av()
    path = os.fspath(path)
    try:
        container = av.open(path)
    except (av.error.FFmpegError, OSError, ValueError) as e:
        raise ImageError(f"cannot be opened as a video ({first_line(e)})", path=path) from e
    with container:
        if not container.streams.video:
            raise ImageError("holds no video", path=path)
        yield container, container.streams.video[0]


def _packets(av: Any, container: Any, stream: Any) -> Iterator[tuple[list[VideoFrame], int]]:
    """Yield the frames of each packet, and 1 where it could not be decoded."""
    for packet in container.demux(stream):
        try:
            yield packet.decode(), 0
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, ValueError):  # what a broken packet holds; the next may be whole
            yield [], 1


def _upright(frame: VideoFrame) -> Array:
    """A frame turned by the rotation that its file states, which is counter-clockwise."""
    image = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


def _av() -> Any:
    try:
        import av
        import av.error
    except ImportError as e:
        raise NetvladError(f"reading videos needs PyAV ({e}): pip install 'netvlad[video]'") from e
    return av
