"""Photos of strangers are decoded in worker processes under limits; the death of one costs one photo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

from netvlad.errors import ImageError
from netvlad.images.opening import read_file
from netvlad.images.read import decode_image, read_image
from netvlad.runtime.limits import at_most
from netvlad.runtime.workers import pool

if TYPE_CHECKING:
    from netvlad.images.read import Pixels

Result = TypeVar("Result")
SECONDS, MEMORY = 10.0, 2 << 30  # of processor time and of bytes, for one photo
QUALITY = 80  # of a JPEG that is shown


class Decoders:
    """`workers` lanes of one process each: a photo that takes its process down takes no other with it."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._idle: asyncio.Queue[Any] = asyncio.Queue()
        self._running: set[asyncio.Task[Any]] = set()
        for _ in range(workers):
            self._idle.put_nowait(pool(1, idle=None))

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """function(*arguments) in a worker process. Raises what it raises, and ImageError where the process dies.

        The lane is taken until the function has ended, also where the caller no longer waits.
        """
        lane = await self._idle.get()
        task = asyncio.ensure_future(self._run(lane, function, arguments))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _run(self, lane: Any, function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
        from loky.process_executor import TerminatedWorkerError

        try:
            result: Result = await asyncio.wrap_future(lane.submit(function, *arguments))
            return result
        except TerminatedWorkerError:
            lane.shutdown(wait=False, kill_workers=True)
            lane = pool(1, idle=None)
            raise ImageError(f"the decoder crashed on it, or took more than {SECONDS:g} s") from None
        finally:
            self._idle.put_nowait(lane)

    async def start(self) -> None:
        """Start all processes: the first photos need not wait for them."""
        await asyncio.gather(*(self.run(decoded, _DOT, None, False) for _ in range(self.workers)))

    async def stop(self) -> None:
        """End all processes after what they do now."""
        for _ in range(self.workers):
            lane = await self._idle.get()
            await asyncio.to_thread(lane.shutdown, wait=True)


def decoded(data: bytes, resize: int | None, alpha: bool, smallest: int = 1) -> Pixels:
    """The pixels of an upload, for a worker process. Raises ImageError, also below `smallest` pixels a side."""
    with at_most(SECONDS, MEMORY):
        image = _without_prefix(data, resize, alpha)
    height, width = image.shape[:2]
    if min(height, width) < smallest:
        raise ImageError(f"is too small ({width}x{height}; at least {smallest} pixels a side)")
    return image


def _without_prefix(data: bytes, resize: int | None, alpha: bool) -> Pixels:
    try:
        return decode_image(data, "", resize=resize, alpha=alpha)
    except ImageError as e:
        raise ImageError(e.reason) from None


def decoded_file(path: str, resize: int | None, alpha: bool) -> Pixels:
    """The pixels of a photo of the map, for a worker process. Raises ImageError."""
    try:
        return decoded(read_file(path), resize, alpha)
    except OSError as e:
        raise ImageError(f"cannot be read ({e.strerror})") from None


def thumbnail(path: str, longest: int) -> bytes:
    """A photo of the map as a new JPEG without its metadata, for a worker process. Raises ImageError."""
    from PIL import Image

    with at_most(SECONDS, MEMORY):
        try:
            pixels = read_image(read_file(path), resize=longest)
        except OSError as e:
            raise ImageError(f"cannot be read ({e.strerror})") from None
        jpeg = BytesIO()
        Image.fromarray(pixels).save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()


def _dot() -> bytes:
    from PIL import Image

    png = BytesIO()
    Image.new("RGB", (1, 1)).save(png, "PNG")
    return png.getvalue()


_DOT = _dot()
