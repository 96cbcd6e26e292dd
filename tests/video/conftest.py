from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest


def shades(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames that brighten with time, bright in the upper left."""
    frames = []
    for i in range(count):
        frame = np.full((height, width, 3), 20 + 8 * i, np.uint8)
        frame[: height // 2, : width // 2] = 240
        frames.append(frame)
    return frames


@pytest.fixture(scope="session")
def make_video(tmp_path_factory):
    """make_video(name, ticks, turn) writes a video whose frames are at `ticks` hundredths of a second."""
    av = pytest.importorskip("av", reason="PyAV (extra video) is not installed")

    def make(name: str, ticks, turn: int = 0, codec: str = "mpeg4", size=(48, 64), metadata=None) -> Path:
        path = tmp_path_factory.mktemp("videos") / name
        with av.open(str(path), "w") as container:
            container.metadata.update(metadata or {})
            stream = container.add_stream(codec, rate=100)
            stream.height, stream.width = size
            stream.pix_fmt, stream.gop_size = "yuvj420p" if codec == "mjpeg" else "yuv420p", 4
            stream.codec_context.time_base = Fraction(1, 100)
            if turn and not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a rotation")
            if turn:
                stream.set_display_rotation(turn)
            for tick, image in zip(ticks, shades(len(ticks), *size), strict=True):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = tick, Fraction(1, 100)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make
