from __future__ import annotations

import numpy as np
import pytest

from netvlad.loops import geometry
from netvlad.loops.geometry import WIDTH, PairGeometry
from netvlad.loops.keyframes import to_jpeg
from netvlad.runtime.kept_rows import KeptRows

CAMERA = np.array([[120.0, 0, 47.5], [0, 120, 47.5], [0, 0, 1]])


def test_the_keyframe_that_agrees_best(see):
    held = [(i, to_jpeg(see(*place, size=240))) for i, place in ((7, (3, 0)), (8, (1, 2)), (9, (4, 0)))]
    number, agreement = PairGeometry("orb").best(see(1, size=240), held)
    assert number == 8
    assert agreement.inliers > 20
    assert PairGeometry("orb").best(see(1), []) is None


@pytest.mark.parametrize("camera", [None, CAMERA])
def test_what_is_kept_is_not_found_again(see, tmp_path, monkeypatch, camera):
    held = [(8, to_jpeg(see(1, 2))), (9, to_jpeg(see(4)))]
    with KeptRows(tmp_path / "pairs", "orb", WIDTH, np.float64) as kept:
        found = PairGeometry("orb", camera, kept).best(see(1), held)
        assert len(kept) == 2
    monkeypatch.setattr(geometry, "local_features", None)
    with KeptRows(tmp_path / "pairs", "orb", WIDTH, np.float64) as kept:
        assert PairGeometry("orb", camera, kept).best(see(1), held) == found
        with pytest.raises(TypeError):
            PairGeometry("orb", camera, kept).best(see(2), held)


def test_time_for_a_frame_is_bounded(see, monkeypatch):
    held = [(i, to_jpeg(see(i))) for i in range(5)]
    clock = iter(np.arange(0, 100, 0.4))
    monkeypatch.setattr(geometry.time, "perf_counter", lambda: next(clock))
    looked: list[int] = []
    PairGeometry("orb").best(see(4), ((i, looked.append(i) or jpeg) for i, jpeg in held), budget=1.0)
    assert looked == [0, 1, 2]
