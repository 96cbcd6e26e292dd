"""All that a service holds in a box, though an answer has no next page: a full box is asked in quarters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from netvlad.errors import NetvladError
from netvlad.imagery.area import Box, quarters

Item = dict[str, Any]
SMALLEST = 1e-5  # degrees, about a metre: what such a box holds beyond an answer is not asked for
TRUSTED = 10  # pictures: no server calls an answer of fewer full


@dataclass
class Quartering:
    """Boxes asked of one service.

    ask: the items of a box. identity: of an item. spot: its longitude and latitude, NaN unknown. limit: items of a full
    answer; it falls once answers turn out to be full with fewer, as those of a server that does not say so are.
    largest: square degrees of a box that may be asked.
    """

    ask: Callable[[Box], list[Item]]
    identity: Callable[[Item], str]
    spot: Callable[[Item], tuple[float, float]]
    limit: int
    largest: float = math.inf
    whole: int = TRUSTED  # an answer of so many items was found to lack none

    def items(self, box: Box) -> Iterator[Item]:
        """The items of a box, some of them twice. Raises NetvladError for a service that does not keep to boxes."""
        if (box[2] - box[0]) * (box[3] - box[1]) >= self.largest:
            for part in quarters(box):
                yield from self.items(part)
            return
        found = self.ask(box)
        if len(found) >= self.limit:
            yield from self._full(box, found)
        elif len(found) <= self.whole or self._lacks_none(box, found):
            yield from found
        else:
            self.limit = len(found)
            yield from self._full(box, found)

    def _full(self, box: Box, found: list[Item]) -> Iterator[Item]:
        if box[2] - box[0] < SMALLEST:
            yield from found
            return
        outside = sum(not _near(box, *self.spot(item)) for item in found)
        if outside > len(found) / 2:
            raise NetvladError(
                f"answers with {outside} of {len(found)} pictures from outside of the box it was asked for"
            )
        for part in quarters(box):
            yield from self.items(part)

    def _lacks_none(self, box: Box, found: list[Item]) -> bool:
        """Whether the quarters of a box hold no more than the answer of the box."""
        known = {self.identity(item) for item in found}
        if any(self.identity(item) not in known for part in quarters(box) for item in self.ask(part)):
            return False
        self.whole = len(found)
        return True


def _near(box: Box, lon: float, lat: float) -> bool:
    """Whether a spot lies in a box or about it; servers round. One that is unknown does."""
    wide, high = box[2] - box[0], box[3] - box[1]
    away = lon < box[0] - wide or lon > box[2] + wide or lat < box[1] - high or lat > box[3] + high
    return not away
