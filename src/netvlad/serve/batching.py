"""Photos of several requests share a forward pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Waiting(Generic[Question, Answer]):
    question: Question
    answer: asyncio.Future[Answer]
    since: float = field(default_factory=time.perf_counter)


class Batcher(Generic[Question, Answer]):
    """Answers questions in batches, one batch at a time, in a thread of its own.

    answer: gives an answer, or the error, for each of several questions. wait: seconds for which a question waits for
    others. largest: questions of a batch. waited: is told for how many seconds each has waited.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Sequence[Answer | Exception]],
        *,
        wait: float,
        largest: int,
        waited: Callable[[float], None],
    ) -> None:
        self._answer, self._wait, self._largest, self._waited = answer, wait, largest, waited
        self._queue: asyncio.Queue[_Waiting[Question, Answer]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, "netvlad-describe")
        self._task = asyncio.ensure_future(self._run())

    async def ask(self, question: Question) -> Answer:
        """The answer; raises its error."""
        waiting: _Waiting[Question, Answer] = _Waiting(question, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        return await waiting.answer

    async def run(self, function: Callable[[], Result]) -> Result:
        """function() in the thread of the answers, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def stop(self) -> None:
        """Take no further batch; the one that is in work ends first."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._gathered()
            if not batch:
                continue
            now = time.perf_counter()
            for one in batch:
                self._waited(now - one.since)
            answers: Sequence[Answer | Exception]
            try:
                answers = await loop.run_in_executor(self._thread, self._answer, [one.question for one in batch])
            except Exception as e:  # nobody else would hear of it
                answers = [e] * len(batch)
            for one, answer in zip(batch, answers, strict=True):
                if one.answer.done():  # its caller has gone meanwhile
                    continue
                if isinstance(answer, Exception):
                    one.answer.set_exception(answer)
                else:
                    one.answer.set_result(answer)

    async def _gathered(self) -> list[_Waiting[Question, Answer]]:
        """The next questions whose callers still wait."""
        batch = [await self._queue.get()]
        if self._queue.qsize() + 1 < self._largest:
            await asyncio.sleep(self._wait)
        while len(batch) < self._largest and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return [one for one in batch if not one.answer.done()]
