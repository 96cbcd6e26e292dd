from __future__ import annotations

import pytest

from netvlad.serve.gate import Gate
from netvlad.serve.problems import Refusal


def test_room_is_given_back():
    gate = Gate(queue=3, memory=100, deadline=30)
    with gate.holding(photos=1, size=60):
        with pytest.raises(Refusal) as refused, gate.holding(size=41):
            pass
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        with gate.holding(photos=2, size=40), pytest.raises(Refusal), gate.holding(photos=1):
            pass
    assert (gate.photos, gate.bytes) == (0, 0)


def test_when_to_come_again_follows_what_photos_take():
    gate = Gate(queue=1000, memory=0, deadline=3000)
    for _ in range(100):
        gate.learn(2.0)
    with gate.holding(photos=10):
        assert gate.retry_after == 10
    with gate.holding(photos=1000):
        assert gate.retry_after == 60


def test_what_would_come_too_late_is_refused_at_once():
    gate = Gate(queue=1000, memory=0, deadline=30)
    for _ in range(100):
        gate.learn(2.0)
    with gate.holding(photos=14), gate.holding(photos=2), pytest.raises(Refusal), gate.holding(photos=1):
        pass
    with gate.holding(photos=1):
        assert gate.photos == 1
