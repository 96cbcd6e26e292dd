from __future__ import annotations

import json

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.loops.detector import LoopDetector
from netvlad.loops.options import LoopOptions

LAP = 30  # places of a round that is driven twice, one a second
PLAIN = LoopOptions(gap=10, verify=0, kind="orb")


def driven(detector: LoopDetector, see, frames, look: int = 0) -> list:
    return [loop for t in frames for loop in detector.add(see(t % LAP, look + t // LAP), float(t))]


def test_a_round_driven_twice_closes_where_it_meets_itself(model, see):
    loops = driven(LoopDetector(model, PLAIN), see, range(2 * LAP))
    assert len(loops) >= LAP - 3
    assert all(loop.query - loop.match == LAP for loop in loops)
    assert all(loop.query_t - loop.match_t == LAP and 0.5 <= loop.score <= 1 for loop in loops)
    assert {loop.inliers for loop in loops} == {None}


def test_frames_near_in_time_are_never_loops(model, see):
    detector = LoopDetector(model, LoopOptions(gap=40, verify=0, kind="orb"))
    assert driven(detector, see, range(2 * LAP)) == []
    standing = LoopDetector(model, PLAIN)
    found = [loop for t in range(40) for loop in standing.add(see(3, t), float(t))]
    assert all(loop.query_t - loop.match_t >= 10 for loop in found)


def test_only_what_agrees_by_geometry_is_a_loop(model, see):
    """Colours of the second round are those of the first, and so are the vectors; half of its places look different."""
    detector = LoopDetector(model, LoopOptions(gap=10, kind="rootsift", least=12))
    assert driven(detector, see, range(LAP)) == []
    found = []
    for t in range(LAP, 2 * LAP):
        image = see(t - LAP, 1) if t % 2 else see(500 + t, 1)
        image[0, 0] = t - LAP
        found += detector.add(image, float(t))
    assert {loop.query % 2 for loop in found} == {1}
    assert len(found) >= 10
    assert min(loop.inliers for loop in found) >= 12
    assert detector.seconds["verify"] > 0


def test_intrinsics_give_the_relative_heading(model, see):
    camera = np.array([[96.0, 0, 47.5], [0, 96, 47.5], [0, 0, 1]])
    detector = LoopDetector(model, LoopOptions(gap=10, kind="rootsift", least=8), camera=camera)
    loops = driven(detector, see, range(2 * LAP))
    assert loops
    assert all(-180 <= angle <= 180 for loop in loops for angle in (loop.heading, loop.bearing))


def test_memory_is_bounded_and_the_oldest_is_forgotten(model, see):
    detector = LoopDetector(model, LoopOptions(gap=2, verify=0, kind="orb", most=20))
    for t in range(100):
        detector.add(see(t), float(t))
        assert len(detector.keyframes) <= 20
    assert detector.photo(3) is None
    assert abs(detector.photo(97).astype(int) - see(97).astype(int)).mean() < 12
    assert detector.photo(99) is not None
    assert detector.photo(100) is None


def test_frames_that_look_like_the_last_are_no_keyframes(model, see):
    detector = LoopDetector(model, LoopOptions(gap=5, apart=0.9, verify=0, kind="orb"))
    for t in range(40):
        detector.add(see(t // 10, t), float(t))
    assert detector.count == 4


def test_goes_on_where_it_was_saved(model, see, tmp_path):
    whole = LoopDetector(model, PLAIN)
    before = driven(whole, see, range(LAP))
    whole.save(tmp_path / "saved")
    whole.save(tmp_path / "saved")  # in place of the former
    loaded = LoopDetector.load(tmp_path / "saved", model)
    assert before == []
    assert loaded.count == LAP
    assert np.array_equal(loaded.photo(4), whole.photo(4))
    loops = driven(loaded, see, range(LAP, 2 * LAP))
    assert [(one.query, one.match) for one in loops] == [
        (one.query, one.match) for one in driven(whole, see, range(LAP, 2 * LAP))
    ]


def test_two_robots(model, see):
    one = LoopDetector(model, PLAIN)
    driven(one, see, range(LAP))
    loops = [loop for t in range(5, 25) for loop in one.find(see(t, 9), 1000.0 + t)]
    assert len(loops) >= 17
    assert all(loop.query == -1 and loop.query_t - 1000 == loop.match for loop in loops)
    assert one.count == LAP


def test_another_robot_changes_nothing_of_the_own_loops(model, see):
    alone, asked = LoopDetector(model, PLAIN), LoopDetector(model, PLAIN)
    wanted = driven(alone, see, range(2 * LAP))
    found = driven(asked, see, range(25))
    assert asked.find(see(24, 9), 5.0)[0].match == 24  # the youngest is found, too
    found += driven(asked, see, range(25, 2 * LAP))
    assert [(loop.query, loop.match) for loop in found] == [(loop.query, loop.match) for loop in wanted]
    assert all(loop.query_t - loop.match_t >= PLAIN.gap for loop in found)


def test_two_maps_meet(model, see, tmp_path):
    one, two = LoopDetector(model, PLAIN), LoopDetector(model, PLAIN)
    driven(one, see, range(LAP))
    for t in range(15):
        two.add(see(12 + t, 9), 500.0 + t)
    theirs = LoopDetector.load(two.save(tmp_path / "two"), model)
    loops = one.meet(theirs)
    assert len(loops) >= 12
    assert all(loop.match == loop.query + 12 and loop.query_t == 500 + loop.query for loop in loops)
    assert theirs.count == 15
    theirs.model = type(model)()
    theirs.model.identity = "another"
    with pytest.raises(NetvladError, match="another model"):
        one.meet(theirs)


def test_refuses_other_folders_and_models(model, see, tmp_path):
    detector = LoopDetector(model, PLAIN)
    driven(detector, see, range(15))
    (tmp_path / "mine").mkdir()
    with pytest.raises(NetvladError):
        detector.save(tmp_path / "mine")
    saved = detector.save(tmp_path / "saved")
    with pytest.raises(NetvladError):
        LoopDetector.load(tmp_path / "absent", model)
    other = type(model)()
    other.identity = "another"
    with pytest.raises(NetvladError, match="another model"):
        LoopDetector.load(saved, other)
    (saved / "generation-0" / "photos.bin").write_bytes(b"")
    with pytest.raises(NetvladError):
        LoopDetector.load(saved, model)
    card = json.loads((saved / "loops.json").read_text())
    (saved / "loops.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(NetvladError, match="format"):
        LoopDetector.load(saved, model)


def test_refuses_time_that_falls(model, see):
    detector = LoopDetector(model, PLAIN)
    detector.add(see(1), 5.0)
    for t in (4.0, float("nan")):
        with pytest.raises(NetvladError):
            detector.add(see(2), t)


@pytest.mark.parametrize(
    "wrong", [{"gap": -1}, {"nearest": 0}, {"most": 1}, {"budget": 0}, {"probability": 2}, {"length": 0}]
)
def test_refuses_options_that_make_no_sense(wrong):
    with pytest.raises(NetvladError):
        LoopOptions(kind="orb", **wrong)
