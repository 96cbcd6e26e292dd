"""From the bytes of photos to answers: decoding, a shared forward pass, a search."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from netvlad.errors import ImageError
from netvlad.maps.where import Where
from netvlad.runtime.workers import default_workers
from netvlad.serve.batching import Batcher
from netvlad.serve.decoding import Decoders, decoded, decoded_file, thumbnail
from netvlad.serve.gate import Gate
from netvlad.serve.metrics import Metrics
from netvlad.serve.problems import Refusal
from netvlad.serve.served_map import ServedMap
from netvlad.serve.settings import Settings
from netvlad.serve.uploads import Upload
from netvlad.types import Describer

if TYPE_CHECKING:
    from netvlad.images.read import Pixels

# what says why two photos are similar, as JSON, by the describer of a map
Explain = Callable[[Describer, "Pixels", "Pixels"], dict[str, Any]]
FOLLOWING = 1.0  # seconds between looks for newer versions of the maps


@dataclass(frozen=True)
class Question:
    """A decoded photo, and how it is asked."""

    name: str
    image: Pixels
    map: ServedMap
    top: int
    where: Where


class Service:
    """Locates photos in `maps` (name -> map). It starts and stops within a running event loop."""

    def __init__(self, maps: Mapping[str, ServedMap], settings: Settings, explain: Explain | None) -> None:
        self.maps, self.settings, self._explain = maps, settings, explain
        self.metrics = Metrics()
        self.gate = Gate(settings.queue, settings.memory, settings.deadline)
        self.metrics.waiting.set_function(lambda: self.gate.photos)
        self.metrics.memory.set_function(lambda: self.gate.bytes)
        self.ready = False

    async def start(self) -> None:
        """Start the worker processes; `ready` holds then."""
        self.decoders = Decoders(max(1, default_workers(1 << 20, self.settings.workers)))
        self._batcher: Batcher[Question, dict[str, Any]] = Batcher(
            self._answers,
            wait=self.settings.wait,
            largest=self.settings.batch,
            waited=lambda seconds: self.metrics.seconds("wait", seconds),
        )
        await self.decoders.start()
        self._following = asyncio.ensure_future(self._follow())
        self.ready = True

    async def stop(self) -> None:
        """End what is in work, then the processes."""
        self.ready = False
        self._following.cancel()
        with suppress(asyncio.CancelledError):
            await self._following
        await self._batcher.stop()
        await self.decoders.stop()

    def map_named(self, name: str | None) -> ServedMap:
        """The map of that name, the first for None. Raises Refusal."""
        found = next(iter(self.maps.values())) if name is None else self.maps.get(name)
        if found is None:
            raise Refusal(404, f"there is no map {name[:80] if name else ''!r} here; /v1/index lists them")
        return found

    async def locate(self, uploads: Sequence[Upload], to: ServedMap, top: int, where: Where) -> list[dict[str, Any]]:
        """The answer for each upload, {"photo", "error"} for one that cannot be read."""
        return list(await asyncio.gather(*(self._locate(upload, to, top, where) for upload in uploads)))

    async def _locate(self, upload: Upload, to: ServedMap, top: int, where: Where) -> dict[str, Any]:
        start = time.perf_counter()
        model = to.model
        try:
            image = await self.decoders.run(decoded, upload.data, model.resize, model.takes_masks, model.smallest)
        except ImageError as e:
            self.metrics.photos.labels("unreadable").inc()
            return {"photo": upload.name, "error": e.reason}
        self.metrics.seconds("decode", time.perf_counter() - start)
        answer = await self._batcher.ask(Question(upload.name, image, to, top, where))
        self.metrics.photos.labels("located").inc()
        return answer

    async def explain(self, upload: Upload, to: ServedMap, top: int, where: Where) -> dict[str, Any]:
        """The answer for one photo, with `explanation`: why its best match is similar. Raises Refusal."""
        if self._explain is None:
            raise Refusal(422, "explain: this server explains nothing")
        view, model = to.view, to.model
        answer = await self._locate(upload, to, top, where)
        if "error" in answer:
            return answer
        path = await asyncio.to_thread(view.path_of, answer["matches"][0]["id"])
        if path is None:
            raise Refusal(422, "explain: the map has changed meanwhile; ask again")
        size = model.resize, model.takes_masks
        try:
            query = await self.decoders.run(decoded, upload.data, *size)
            match = await self.decoders.run(decoded_file, path, *size)
        except ImageError as e:
            raise Refusal(422, f"explain: the best match {e.reason}") from None
        return {**answer, "explanation": await self._batcher.run(partial(self._explain, model, query, match))}

    async def thumbnail(self, of: ServedMap, id_: str, longest: int) -> bytes:
        """A photo of a map as JPEG. Raises Refusal."""
        view = of.view
        path = await asyncio.to_thread(view.path_of, id_)
        if path is None:
            raise Refusal(404, "the map has no photo of this id")
        try:
            return await self.decoders.run(thumbnail, path, longest)
        except ImageError as e:
            raise Refusal(404, f"the photo {e.reason}") from None

    def _answers(self, questions: Sequence[Question]) -> list[dict[str, Any] | Exception]:
        """The answers of a batch: one forward pass for each model, one search for each map and region."""
        start = time.perf_counter()
        answers: list[dict[str, Any] | Exception] = [RuntimeError("was not answered")] * len(questions)
        for of_model in _groups([id(q.map.model) for q in questions]):
            vectors = questions[of_model[0]].map.model.describe([questions[i].image for i in of_model])
            described = time.perf_counter()
            self.metrics.seconds("describe", described - start)
            self.metrics.batch.observe(len(of_model))
            asked = [(questions[i].map.name, questions[i].top, questions[i].where) for i in of_model]
            for group in _groups(asked):
                first = questions[of_model[group[0]]]
                names = [questions[of_model[i]].name for i in group]
                found: Sequence[dict[str, Any] | Exception]
                try:
                    found = first.map.view.locate(names, vectors[group], first.top, first.where)
                except Exception as e:  # of a region without photos, say: others of the batch are answered
                    found = [e] * len(group)
                for i, answer in zip(group, found, strict=True):
                    answers[of_model[i]] = answer
            self.metrics.seconds("search", time.perf_counter() - described)
        self.gate.learn((time.perf_counter() - start) / len(questions))
        return answers

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOWING)
            for served in self.maps.values():
                await asyncio.to_thread(served.follow)


def _groups(keys: Sequence[Any]) -> list[list[int]]:
    """Indices of equal keys."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    return list(groups.values())
