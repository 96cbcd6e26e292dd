from __future__ import annotations

import pytest

from netvlad.errors import NetvladError
from netvlad.imagery.sources import open_source


@pytest.mark.parametrize("name", ["google", "streetview", "nobody"])
def test_other_sources_are_refused(name):
    with pytest.raises(NetvladError):
        open_source(name)


def test_another_quality_is_refused(panoramax):
    with pytest.raises(NetvladError):
        open_source("panoramax", panoramax.url, asset="thumb")
