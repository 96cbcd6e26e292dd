from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netvlad.errors import PlacesError
from netvlad.places import Places
from netvlad.places.visits import dates, group_places, visits


def drive(*stops) -> Places:
    """Stops of (metres along a street, day of May or None)."""
    return Places.build(
        path=[f"/{i}.jpg" for i in range(len(stops))],
        easting=[float(metres) for metres, _ in stops],
        northing=0.0,
        time=[f"2019-05-{day:02d}T10:00:00" if day else None for _, day in stops],
    )


def test_dates_are_those_of_the_wall_clock():
    places = Places.build(
        path=list("abcdef"),
        lat=35.0,
        lon=[139.7, 139.7, -122.0, 0.0, 139.7, 139.7],
        time=[
            "2019-05-01T16:00:00Z",  # after midnight in Tokyo
            "2019-05-01T14:00:00Z",
            "2019-05-01T02:00:00Z",  # still the evening before in San Francisco
            "2019-05-01T23:59:59Z",
            "2019-05-01T23:59:59",  # a wall clock is what it says
            None,
        ],
    )
    want = ["2019-05-02", "2019-05-01", "2019-04-30", "2019-05-01", "2019-05-01", "NaT"]
    assert dates(places).dtype == np.dtype("datetime64[D]")
    assert dates(places).astype(str).tolist() == want


def test_dates_of_a_plane_have_no_longitude():
    places = Places.build(path=["a"], easting=1.0, northing=2.0, time=["2019-05-01T23:00:00Z"])
    assert dates(places).astype(str).tolist() == ["2019-05-01"]


def test_drives_of_other_dates_meet_and_neighbours_of_one_drive_do_not():
    metres = [0, 9, 18, 27, 36]
    stops = [(m, 1) for m in metres] + [(m + 3, 2) for m in metres] + [(m - 2, 3) for m in metres]
    assert group_places(drive(*stops)).tolist() == [0, 1, 2, 3, 4] * 3


def test_the_nearest_meet_first():
    # 6 is nearer to 9 of the first drive than to 0
    assert group_places(drive((0, 1), (9, 1), (6, 2))).tolist() == [0, 1, 1]
    # nearer pairs come first, and no place reaches farther than the radius
    assert group_places(drive((0, 1), (8, 2), (14, 3)), radius=10).tolist() == [0, 1, 1]
    assert group_places(drive((0, 1), (5, 2), (10, 3)), radius=10).tolist() == [0, 0, 0]
    assert group_places(drive((0, 1), (5, 2), (10.1, 3)), radius=10).tolist() == [0, 0, 1]


def test_a_place_holds_one_position_of_a_date():
    assert group_places(drive((0, 1), (1, 1), (1.4, 2))).tolist() == [0, 1, 1]
    assert group_places(drive((0, 1), (0, 1), (0, 2))).tolist() == [0, 0, 0]  # cut-outs, or the same spot again


def test_without_dates_a_place_is_not_wider_than_the_radius():
    label = group_places(drive(*[(8 * i, None) for i in range(40)]), radius=10)
    assert np.bincount(label).max() == 2
    assert group_places(drive((0, 1), (3, None), (4, 1))).tolist() == [0, 1, 1]


def test_across_the_antimeridian():
    places = Places.build(
        path=["a", "b"], lat=-16.0, lon=[179.99999, -179.99999], time=["2019-05-01T00:00:00", "2018-05-01T00:00:00"]
    )
    assert group_places(places).tolist() == [0, 0]


def test_no_places_and_one():
    assert group_places(drive()).tolist() == []
    assert group_places(drive((7, None))).tolist() == [0]
    assert group_places(drive((0, 1), (0, 2), (1e-3, 3)), radius=0.0).tolist() == [0, 0, 1]
    for radius in (-1.0, float("nan")):
        with pytest.raises(PlacesError, match="the radius must be 0 m or more"):
            group_places(drive((7, None)), radius)


def by_hand(places: Places, radius: float) -> set[frozenset]:
    """Complete linkage over all pairs of spots, nearest first, ties from west to east."""
    east, day = places.easting, dates(places)
    groups = [[i for i in range(len(places)) if east[i] == spot] for spot in sorted(set(east))]
    pairs = [(abs(east[a[0]] - east[b[0]]), i, j) for i, a in enumerate(groups) for j, b in enumerate(groups) if i < j]
    home = {i: g for g, group in enumerate(groups) for i in group}
    firsts = [group[0] for group in groups]
    for apart, i, j in sorted(pairs):
        a, b = ({k for k in home if home[k] == home[firsts[n]]} for n in (i, j))
        shared = {str(day[k]) for k in a} & {str(day[k]) for k in b} - {"NaT"}
        wide = max(abs(east[k] - east[m]) for k in a for m in b)
        if a != b and apart <= radius and wide <= radius and not shared:
            for k in b:
                home[k] = home[firsts[i]]
    return {frozenset(k for k in home if home[k] == h) for h in home.values()}


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([None, 1, 2, 3, 4])), min_size=1, max_size=14),
    st.integers(0, 12),
    st.randoms(),
)
@settings(deadline=None)
def test_it_is_a_plain_loop_in_any_order(stops, radius, random):
    places = drive(*stops)
    label = group_places(places, radius)
    groups = {frozenset(np.flatnonzero(label == one).tolist()) for one in set(label.tolist())}
    assert groups == by_hand(places, radius)
    assert list(dict.fromkeys(label.tolist())) == list(range(len(groups)))  # numbered as they come
    order = random.sample(range(len(stops)), len(stops))
    again = group_places(places[order], radius)
    assert {frozenset(np.array(order)[again == one].tolist()) for one in set(again.tolist())} == groups


def test_thousands_of_panoramas_need_no_square_table():
    rng = np.random.default_rng(0)
    spots = np.arange(4000) * 10.0
    east = np.concatenate([spots + rng.uniform(-2, 2, 4000) for _ in range(5)])
    day = np.repeat([f"201{i}-05-01T00:00:00" for i in range(5)], 4000)
    places = Places.build(path=[f"/{i}" for i in range(20000)], easting=east, northing=0.0, time=day)
    np.testing.assert_array_equal(group_places(places), np.tile(np.arange(4000), 5))


def test_visits():
    places = drive((0, 2), (0, 1), (50, None), (0, 2), (90, 3))
    label = group_places(places)
    seen = visits(places, label)
    assert [[str(day) for day in place] for place in seen] == [["2019-05-01", "2019-05-02"], [], ["2019-05-03"]]
    assert seen[0][dates(places)[0]].tolist() == [0, 3]
    assert seen[0][np.datetime64("2019-05-01")].tolist() == [1]
    assert visits(drive(), []) == []
    assert visits(drive((0, 1)), [-1]) == []
    with pytest.raises(PlacesError, match=r"labels must be \(5,\) for 5 photos, got \(2,\)"):
        visits(places, label[:2])


def test_without_a_position():
    with pytest.raises(PlacesError, match=r"gate\.jpg has no position"):
        group_places(Places.build(path=["/gate.jpg"], place=["gate"]))
