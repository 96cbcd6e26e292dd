from __future__ import annotations

import asyncio
import threading

import pytest

from netvlad.serve.batching import Batcher


def run(answer, questions, *, wait=0.01, largest=4):
    async def main():
        waited: list[float] = []
        batcher = Batcher(answer, wait=wait, largest=largest, waited=waited.append)
        results = await asyncio.gather(*map(batcher.ask, questions), return_exceptions=True)
        await batcher.stop()
        return results, waited

    return asyncio.run(main())


def test_questions_share_batches():
    batches: list[list[int]] = []

    def double(batch):
        batches.append(list(batch))
        return [2 * n for n in batch]

    results, waited = run(double, range(10))
    assert results == [2 * n for n in range(10)]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(waited) == 10


def test_each_has_its_own_error():
    results, _ = run(lambda batch: [ValueError(n) if n % 2 else n for n in batch], range(4))
    assert results[::2] == [0, 2]
    assert [str(e) for e in results[1::2]] == ["1", "3"]


def test_an_error_of_the_batch_is_that_of_all_and_the_next_one_goes_on():
    def answer(batch):
        if 0 in batch:
            raise KeyError("broken")
        return batch

    results, _ = run(answer, range(8))
    assert all(isinstance(r, KeyError) for r in results[:4])
    assert results[4:] == [4, 5, 6, 7]


def test_who_has_gone_is_not_answered_and_the_batch_in_work_ends():
    seen, gate = [], threading.Event()

    def answer(batch):
        gate.wait(5)
        seen.extend(batch)
        return batch

    async def main():
        batcher = Batcher(answer, wait=0, largest=1, waited=lambda seconds: None)
        first = asyncio.ensure_future(batcher.ask("first"))
        await asyncio.sleep(0.05)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(batcher.ask("gone"), 0.05)
        third = asyncio.ensure_future(batcher.ask("third"))
        gate.set()
        assert await third == "third"
        await batcher.stop()
        return await first

    assert asyncio.run(main()) == "first"
    assert seen == ["first", "third"]
