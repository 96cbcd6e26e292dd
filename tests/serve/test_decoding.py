from __future__ import annotations

import asyncio
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fixtures.uploads import jpeg, sent
from netvlad.errors import ImageError
from netvlad.serve.decoding import Decoders, decoded, thumbnail


def die() -> None:
    os._exit(1)


def wait(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


def test_a_process_that_dies_costs_one_photo():
    async def run():
        decoders = Decoders(2)
        photos = [decoders.run(decoded, jpeg(), None, False) for _ in range(4)]
        results = await asyncio.gather(decoders.run(die), *photos, decoders.run(die), return_exceptions=True)
        again = await decoders.run(decoded, jpeg(), None, False)
        await decoders.stop()
        return results, again

    results, again = asyncio.run(run())
    assert [isinstance(result, ImageError) for result in results] == [True, *[False] * 4, True]
    assert again.shape == (48, 64, 3)


def test_a_lane_is_taken_until_its_work_ends():
    async def run():
        decoders = Decoders(1)
        await decoders.start()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(decoders.run(wait, 0.3), 0.05)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await decoders.run(wait, 0.0)
        waited = loop.time() - start
        await decoders.stop()
        return waited

    assert asyncio.run(run()) > 0.1


def test_pixels_at_the_model_s_size():
    pixels = np.zeros((100, 200, 3), np.uint8)
    assert decoded(jpeg(pixels), 50, False).shape == (25, 50, 3)
    with pytest.raises(ImageError, match="at least 101"):
        decoded(jpeg(pixels), None, False, 101)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose head promises so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_pixels_are_counted_before_they_are_decoded(client):
    (why,) = client.post("/v1/locate", files=sent(bomb(60_000, 60_000))).json()["answers"]
    assert "pixels" in why["error"]
    (why,) = client.post("/v1/locate", files=sent(bomb(15_000, 11_000))).json()["answers"]
    assert "million" in why["error"]


@pytest.mark.parametrize("kind", ["EPS", "PPM", "PCX", "TGA", "ICO"])
def test_other_formats_are_not_opened(client, kind):
    from io import BytesIO

    stream = BytesIO()
    Image.new("RGB", (64, 48)).save(stream, kind)
    (why,) = client.post("/v1/locate", files=sent(stream.getvalue())).json()["answers"]
    assert "format" in why["error"]


def test_a_thumbnail_has_no_metadata(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 48)).save(path, exif=exif)
    made = thumbnail(str(path), 32)
    assert b"a maker" not in made
    with pytest.raises(ImageError):
        thumbnail(str(tmp_path / "none.jpg"), 32)
