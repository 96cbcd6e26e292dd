from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod

from netvlad.errors import PlacesError
from netvlad.panoramas.synthesis.grid import clear_view, virtual_positions
from netvlad.places import Places, to_utm

OPEN = np.full(360, np.inf, np.float32)
E0, N0 = 500_000, 3_460_000  # a node of any grid, in the middle of its zone


def table(at, heading=0.0, utm=32636, **columns) -> Places:
    east, north = np.array(at, float).T
    path = [f"{i}.jpg" for i in range(len(at))]
    where = {"easting": E0 + east, "northing": N0 + north, "utm": utm}
    return Places.build(path=path, heading=heading, **where, **columns)


def relative(positions) -> list[tuple[float, float]]:
    return [(p.easting - E0, p.northing - N0) for p in positions]


def test_around_one_panorama_in_the_open():
    positions = virtual_positions(table([(0, 0)]), [OPEN], spacing=5, reach=20)
    k = range(-4, 5)
    assert relative(positions) == [(5 * i, 5 * j) for j in k for i in k if i * i + j * j <= 16]  # 49 of 81
    assert {p.utm for p in positions} == {32636}
    for p in positions:
        assert p.sources == (0,)
        assert p.offsets.shape == (1, 3)
        # a UTM metre in the middle of a zone is 0.4 mm too short
        np.testing.assert_allclose(p.offsets[0] * 0.9996, [p.easting - E0, p.northing - N0, 0], atol=1e-3)
    assert len({p.name for p in positions}) == len(positions)


def test_the_grid_does_not_move_with_the_panoramas():
    nodes = {p for x in (0.0, 1.3, 2.49, 2.51, 7.7) for p in relative(virtual_positions(table([(x, 0.4)]), [OPEN]))}
    assert all(x % 5 == 0 and y % 5 == 0 for x, y in nodes)
    near = relative(virtual_positions(table([(2.6, 2.6)]), [OPEN], reach=3.5))
    assert near == [(5, 5)]  # 3.39 m away, while (0, 5) and (5, 0) are 3.54 m and (0, 0) 3.68 m
    fine = relative(virtual_positions(table([(0, 0)]), [OPEN], spacing=0.25, reach=0.3))
    assert fine == [(0, -0.25), (-0.25, 0), (0, 0), (0.25, 0), (0, 0.25)]


def test_north_is_true_north_and_not_the_grids():
    lat, lon = 60.0, 35.9  # 2.9 degrees from the middle of zone 36: the grid is turned by 2.5 degrees
    east, north, zone = to_utm(lat, lon)
    panoramas = Places.build(path=["a.jpg"], lat=lat, lon=lon, heading=0)
    positions = virtual_positions(panoramas, [OPEN])
    assert len(positions) > 40
    geod, grid = Geod(ellps="WGS84"), []
    for p in positions:
        azimuth, _, metres = geod.inv(lon, lat, p.lon, p.lat)
        want = metres * np.array([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth)), 0])
        np.testing.assert_allclose(p.offsets[0], want, atol=1e-3)
        assert p.utm == zone
        grid.append(np.abs(want[:2] - [p.easting - east, p.northing - north]).max())
    assert max(grid) > 0.7


@pytest.mark.parametrize("heading", [0.0, 137.0])
def test_positions_in_and_behind_walls_are_left_out(corner, heading):
    depth = corner.panorama((0, 0, 2.5), heading, 64, 512).depth
    positions = relative(virtual_positions(table([(0, 0)], heading), [clear_view(depth)]))
    # the street is 16 m wide, a metre is kept clear of its walls; the side street, from -5 to 3, begins at -8
    street = [(x, y) for y in (-5, 0, 5) for x in range(-15, 16, 5)] + [(-20, 0), (20, 0)]
    assert set(positions) == {*street, (0, -10), (0, -15), (0, -20)}


def test_posts_hide_nothing_and_walls_all():
    depth = np.full((180, 360), 30.0, np.float32)
    depth[:, 178:182] = 4.0  # to the north, 28 cm wide
    assert (0, 15) in relative(virtual_positions(table([(0, 0)]), [clear_view(depth)]))
    depth[:, 160:200] = 4.0
    assert (0, 15) not in relative(virtual_positions(table([(0, 0)]), [clear_view(depth)]))
    assert (0, -15) in relative(virtual_positions(table([(0, 0)]), [clear_view(depth)]))


def test_what_is_not_known_is_not_free():
    clear = OPEN.copy()
    clear[180:] = np.nan  # the east
    positions = relative(virtual_positions(table([(0, 0)]), [clear]))
    assert (-5, 0) in positions
    assert (5, 0) not in positions


def test_a_panorama_around_the_corner_sees_what_the_nearest_does_not():
    walled = np.full(360, 2.0, np.float32)
    panoramas = table([(0, 0), (12, 0)])
    positions = virtual_positions(panoramas, [walled, OPEN], sources=2)
    by_place = dict(zip(relative(positions), positions, strict=True))
    assert by_place[5, 0].sources == (1,)
    assert by_place[0, 0].sources == (0, 1)
    both = {p: v.sources for p, v in zip(relative(positions), positions, strict=True) if len(v.sources) == 2}
    assert list(both) == [(0, 0)]
    open_ = virtual_positions(panoramas, [OPEN, OPEN], sources=2)
    sources = dict(zip(relative(open_), [p.sources for p in open_], strict=True))
    assert (sources[5, 0], sources[10, 0], sources[-15, 0]) == ((0, 1), (1, 0), (0,))
    assert {len(p.sources) for p in virtual_positions(panoramas, [OPEN, OPEN], sources=1)} == {1}


def test_panoramas_without_depth_are_left_out():
    panoramas = table([(0, 0), (100, 0)])
    assert {p.sources for p in virtual_positions(panoramas, [None, OPEN])} == {(1,)}
    assert virtual_positions(panoramas, [None, None]) == []
    assert virtual_positions(panoramas[[]], []) == []


TIMES = ["2024-06-01T12:00:00", "2024-06-01T22:30:00", "2025-03-01T09:00:00", "2024-06-01T12:00:20"]


def test_dates():
    panoramas = table([(0, 0), (1, 0), (2, 0), (3, 0)], time=TIMES)
    latest = virtual_positions(panoramas, [OPEN] * 4, reach=5, sources=3)
    assert {p.sources for p in latest} == {(2,)} | {p.sources for p in latest if abs(p.easting - E0) == 5}
    (here,) = [p for p in latest if (p.easting, p.northing) == (E0, N0)]
    assert here.sources == (2,)
    all_ = [p for p in virtual_positions(panoramas, [OPEN] * 4, reach=4, dates="all", sources=3)]
    here = [p for p in all_ if (p.easting, p.northing) == (E0, N0)]
    assert [p.sources for p in here] == [(0, 3), (1,), (2,)]  # noon, night, and the year after
    assert [p.name for p in here] == [
        "32636_500000_3460000_20240601T120000",
        "32636_500000_3460000_20240601T223000",
        "32636_500000_3460000_20250301T090000",
    ]


def test_splits_do_not_mix():
    panoramas = table([(0, 0), (1, 0)], time=TIMES[0], split=["train", "val/a"])
    positions = virtual_positions(panoramas, [OPEN, OPEN], reach=2, sources=2)
    assert [p.sources for p in positions] == [(0,), (1,)]
    assert [p.name.rpartition("_")[2] for p in positions] == ["train", "val%2Fa"]


def test_planar_places():
    panoramas = Places.build(path=["a.jpg"], easting=12.0, northing=-3.0, heading=0)
    positions = virtual_positions(panoramas, [OPEN], reach=4)
    assert [(p.easting, p.northing, p.utm) for p in positions] == [(10, -5, 0), (15, -5, 0), (10, 0, 0)]
    np.testing.assert_array_equal(positions[1].offsets, [[3, -2, 0]])
    assert np.isnan(positions[0].lat)
    assert positions[0].name == "10_-5"


def test_two_zones():
    lon = np.array([35.9999, 36.0001])  # 19 m apart, in zones 36 and 37
    panoramas = Places.build(path=["a.jpg", "b.jpg"], lat=30.0, lon=lon, heading=0)
    positions = virtual_positions(panoramas, [OPEN, OPEN], reach=10)
    assert [p.utm for p in positions] == sorted(p.utm for p in positions)
    assert {(p.utm, p.sources) for p in positions} == {(32636, (0,)), (32637, (1,))}


@pytest.mark.parametrize("wrong", [{"spacing": 0}, {"reach": -1}, {"sources": 0}, {"dates": "first"}])
def test_what_cannot_be(wrong):
    with pytest.raises(PlacesError, match=r"positive numbers are wanted|latest or all is wanted"):
        virtual_positions(table([(0, 0)]), [OPEN], **wrong)


def test_clear_view_is_the_nearest_near_the_horizon():
    depth = np.full((180, 360), 9.0, np.float32)
    depth[:85] = 1.0  # above
    depth[95:] = 1.0  # below
    depth[89, :90] = 8.0
    depth[88:92, 90:180] = np.nan
    depth[90, 180:270] = np.nan
    want = np.repeat(np.float32([8, np.nan, 9, 9]), 90)
    np.testing.assert_array_equal(clear_view(depth), want)
