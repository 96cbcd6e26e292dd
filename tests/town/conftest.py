"""One small town, built once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netvlad.town.capture_plan import Size
from netvlad.town.light import Moment
from netvlad.town.world import LAT, LON, Neighbourhood


@pytest.fixture(scope="session")
def size() -> Size:
    """The smallest in which everything happens: two splits, two dates, every light, queries from nowhere."""
    return Size((1, 0, 1), (1, 1), 30.0, (2, 1, 1), 128, 3, 6, (48, 36))


@pytest.fixture(scope="session")
def town(tmp_path_factory, size) -> Path:
    """A town of seed 3, built in this process; not to be written to."""
    from netvlad.town.build import build_town

    return build_town(tmp_path_factory.mktemp("built") / "town", 3, size, workers=0)


@pytest.fixture(scope="session")
def place() -> Neighbourhood:
    """A neighbourhood of one crossing; its streets are turned."""
    return Neighbourhood.draw(3, 0, (1, 1))


def moment(time: str = "2021-06-21T09:48:00", weather: str = "clear", seed: int = 1) -> Moment:
    """By default noon in the town, in June."""
    return Moment(np.datetime64(time), weather, seed, LAT, LON)


@pytest.fixture(scope="session")
def at():
    """at(time, weather, seed) -> Moment in the town."""
    return moment
