"""How much is taken on at once: photos in work and bytes in memory, beyond which callers are asked to come again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from netvlad.serve.problems import Refusal

LONGEST_RETRY = 60  # seconds


class Gate:
    """Counts what is in work. queue, memory, deadline: as in `Settings`."""

    def __init__(self, queue: int, memory: int, deadline: float) -> None:
        self.queue, self.memory, self.deadline = queue, memory, deadline
        self.photos = self.bytes = 0
        self._seconds = 0.1  # of a photo, a moving average

    @contextmanager
    def holding(self, *, photos: int = 0, size: int = 0) -> Iterator[None]:
        """Take on so many photos and bytes until the block ends. Raises Refusal (503) where there is no room."""
        late = self.photos * self._seconds > self.deadline  # nobody waits for what will not be answered in time
        if late or self.photos + photos > self.queue or self.bytes + size > self.memory:
            raise Refusal(503, "too much is waiting already: try again a little later", retry_after=self.retry_after)
        self.photos, self.bytes = self.photos + photos, self.bytes + size
        try:
            yield
        finally:
            self.photos, self.bytes = self.photos - photos, self.bytes - size

    def learn(self, seconds: float) -> None:
        """Take over how long a photo took of late."""
        self._seconds += 0.1 * (seconds - self._seconds)

    @property
    def retry_after(self) -> int:
        """Seconds until half of what waits is done."""
        return max(1, min(LONGEST_RETRY, math.ceil(self.photos * self._seconds / 2)))
