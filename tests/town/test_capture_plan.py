from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.town.capture_plan import SIZES, Size, find_size, neighbourhoods, outline, planned_queries, surveys
from netvlad.town.plan import MARGIN
from netvlad.town.world import APART

GOOD = SIZES["tiny"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"neighbourhoods": (0, 0, 0)}, "counts are positive"),
        ({"neighbourhoods": (2, -1, 1)}, "counts are positive"),
        ({"streets": (0, 1)}, "counts are positive"),
        ({"visits": 0}, "counts are positive"),
        ({"queries": 0}, "counts are positive"),
        ({"photo": (96, 0)}, "counts are positive"),
        ({"streets": (1, 6)}, "6 streets along one axis of a neighbourhood: 1 to 5 are allowed"),
        ({"spacing": 0.5}, "panoramas 0.5 m apart: 1 to 50 m are allowed"),
        ({"spacing": 51.0}, "panoramas 51.0 m apart: 1 to 50 m are allowed"),
        ({"spacing": float("nan")}, "panoramas nan m apart"),
        ({"dates": (1, 0, 1)}, "came (1, 0, 1) times: 1 to 72 are allowed"),
        ({"dates": (1, 1, 73)}, "1 to 72"),
        ({"width": 62}, "panoramas 62 pixels wide: the width must be even and at least 64"),
        ({"width": 129}, "panoramas 129 pixels wide: the width must be even and at least 64"),
    ],
)
def test_no_town_has_such_a_size(wrong, says):
    with pytest.raises(NetvladError) as error:
        replace(GOOD, **wrong)
    assert says in str(error.value)


def test_sizes_by_name():
    assert find_size("tiny") is GOOD
    assert find_size(GOOD) is GOOD
    assert (SIZES["city"].neighbourhoods, SIZES["city"].spacing) == ((12, 2, 4), 10.0)
    with pytest.raises(NetvladError, match="no town is of size 'huge'; choose one of tiny, small, city"):
        find_size("huge")


def test_each_split_has_neighbourhoods_of_its_own():
    assert neighbourhoods(SIZES["city"]) == {"train": range(12), "val": range(12, 14), "test": range(14, 18)}
    assert neighbourhoods(replace(GOOD, neighbourhoods=(0, 0, 2)))["test"] == range(2)
    assert neighbourhoods(replace(GOOD, neighbourhoods=(2, 0, 1)))["val"] == range(2, 2)


def everything(seed: int, size: Size, split: str):
    """Where a split's panoramas were taken (east, north), and the names of its queries by neighbourhood."""
    at = []
    for number in neighbourhoods(size)[split]:
        place = outline(seed, number, size.streets)
        for _, shots in surveys(seed, number, size, split):
            at += [place.to_world(np.array(shot.position))[:2] + place.origin for shot in shots]
    wanted = {}
    for number, visits in planned_queries(seed, size, split):
        wanted.setdefault(number, []).extend(name for _, names in visits for name, _ in names)
    return np.array(at), wanted


def test_a_whole_city_on_paper():
    size = replace(SIZES["city"], neighbourhoods=(3, 1, 2), dates=(2, 1, 1), spacing=20.0)
    found = {split: everything(1, size, split) for split in ("train", "val", "test")}
    for split, (at, _) in found.items():
        for other, (at2, _) in found.items():
            if split < other:
                assert np.linalg.norm(at[:, None] - at2, axis=-1).min() > 300
    names = [n for _, wanted in found.values() for names in wanted.values() for n in names]
    assert len(set(names)) == len(names) == 6 * 9 * 30  # of each neighbourhood, visit and photo


def test_a_tenth_of_the_queries_is_from_nowhere():
    size = replace(SIZES["city"], neighbourhoods=(1, 1, 2))
    _, wanted = everything(1, size, "test")
    assert list(wanted) == [2, 3, 4]  # the last is beyond all that were surveyed
    assert len(wanted[4]) == 2 * 9 * 3
    assert all(name.endswith("_absent") for name in wanted[4])
    assert not any("absent" in name for name in wanted[2] + wanted[3])
    assert len(wanted[2]) == 9 * 27
    place = outline(1, 4, size.streets)
    assert (place.plan.high - place.plan.low).max() < 2 * 76 + 2 * MARGIN  # it does not reach its neighbours
    corner = np.linalg.norm(place.plan.high - place.plan.low) / 2
    assert 2 * corner < APART - 200


def test_every_date_stops_at_the_same_places():
    size = replace(GOOD, dates=(3, 1, 1))
    dates = list(surveys(7, 0, size, "train"))
    assert len(dates) == 3
    assert len({len(shots) for _, shots in dates}) == 1
    stops = [[shot.name.rpartition("_")[2] for shot in shots] for _, shots in dates]
    assert stops[0] == stops[1] == stops[2]
    assert len(list(surveys(7, 2, size, "test"))) == 1
    assert repr(list(surveys(7, 0, size, "train"))) == repr(dates)


def test_the_lights_take_turns():
    for light, times in (("day", 2), ("sunset", 2), ("night", 1)):
        _, wanted = everything(1, replace(GOOD, visits=5), "val")
        assert sum(f"_{light}_" in name for name in wanted[1]) == times * GOOD.queries
