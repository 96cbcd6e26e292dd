from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from netvlad.places import Places
from netvlad.places.sun import elevation, sun_direction
from netvlad.town.light import WEATHERS, draw_skyline
from netvlad.town.world import LAT, LON


def azimuth(vector: np.ndarray) -> float:
    """Degrees clockwise from north."""
    return float(np.degrees(np.arctan2(vector[0], vector[1])) % 360)


def directions(n: int = 400, seed: int = 0) -> np.ndarray:
    rays = np.random.default_rng(seed).normal(size=(n, 3))
    rays = np.concatenate([rays, [[0, 0, 1], [0, 0, -1], [1, 0, 0], [0, 1, 0]]])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def test_the_sun_stands_where_that_of_the_places_stands():
    rng = np.random.default_rng(0)
    n = 200
    times = np.datetime64("2016-01-01T00:00:00") + rng.integers(0, 8 * 365 * 86400, n).astype("timedelta64[s]")
    lat, lon = rng.uniform(-66, 66, n), rng.uniform(-179, 179, n)
    places = Places.build(path=[f"{i}.jpg" for i in range(n)], lat=lat, lon=lon, time=times, is_utc=True)
    found = np.array([sun_direction(*row) for row in zip(times, lat, lon, strict=True)])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(np.degrees(np.arcsin(found[:, 2])), elevation(places), atol=0.01)


@pytest.mark.parametrize(
    ("time", "lat", "lon", "height", "bearing"),
    [
        ("2020-03-20T12:07", 0.0, 0.0, 89.8, None),  # equinox, on the equator: overhead
        ("2020-03-20T12:07", 50.0, 0.0, 40.0, 180),  # 90 - 50 in the south
        ("2020-03-20T12:07", -30.0, 0.0, 60.0, 0),  # south of it, in the north
        ("2020-03-20T06:07", 43.5, 0.0, 0.0, 90),  # rises in the east
        ("2020-03-20T18:07", 43.5, 0.0, 0.0, 270),  # sets in the west
        ("2020-06-20T12:02", 43.5, 0.0, 90 - 43.5 + 23.44, 180),
        ("2020-12-21T11:58", 43.5, 0.0, 90 - 43.5 - 23.44, 180),
        ("2020-06-21T00:02", 80.0, 0.0, 80 - 90 + 23.44, 0),  # at midnight over the pole
        ("2020-06-20T09:50", 43.5, 33.0, 90 - 43.5 + 23.44, 180),  # the town's noon: 33 degrees are 2 h 12 min
    ],
)
def test_the_sun_by_hand(time, lat, lon, height, bearing):
    found = sun_direction(np.datetime64(time), lat, lon)
    assert np.degrees(np.arcsin(found[2])) == pytest.approx(height, abs=0.4)
    if bearing is not None:
        assert abs((azimuth(found) - bearing + 180) % 360 - 180) < 1.5


def test_the_moment_knows_its_sun(at):
    noon = at()
    np.testing.assert_array_equal(noon.sun, sun_direction(noon.time, LAT, LON))
    assert noon.elevation == pytest.approx(69.9, abs=0.2)
    assert at("2021-12-21T22:00:00").elevation < -60


@pytest.mark.parametrize(
    ("month", "season"), [(1, "winter"), (3, "spring"), (5, "spring"), (6, "summer"), (9, "autumn"), (12, "winter")]
)
def test_seasons(at, month, season):
    assert at(f"2021-{month:02d}-15T09:00:00").season == season


def hours(at, weather: str, day: str = "2021-04-10"):
    start = np.datetime64(f"{day}T00:00:00")
    return [at(str(start + np.timedelta64(timedelta(minutes=30 * i))), weather) for i in range(48)]


@pytest.mark.parametrize("weather", WEATHERS)
def test_the_sky_is_finite_and_bright_by_day(at, weather):
    rays = directions()
    skyline = draw_skyline(np.random.default_rng(0))
    for moment in hours(at, weather):
        for line in (None, skyline):
            light = moment.sky(rays, line)
            assert (light.shape, light.dtype) == (rays.shape, np.float32)
            assert np.isfinite(light).all()
            assert (light > 0).all()
        assert (moment.skylight > 0).all()
        assert (moment.sunlight >= 0).all()
        assert light.max() < 6


@pytest.mark.parametrize("weather", WEATHERS)
def test_night_is_darker_than_dusk_and_dusk_than_day(at, weather):
    ordered = sorted(hours(at, weather), key=lambda m: m.elevation)
    up = directions()
    up = up[up[:, 2] > 0.05]
    night, dusk, day = (
        [m for m in ordered if low < m.elevation < high] for low, high in ((-50, -12), (-4.5, 0.5), (20, 70))
    )
    assert all((night, dusk, day))
    levels = [[float(m.sky(up).mean()) for m in some] for some in (night, dusk, day)]
    assert max(levels[0]) < 0.2 * min(levels[1])
    assert max(levels[1]) < min(levels[2])
    overall = [float(m.skylight.sum()) for m in ordered]
    assert np.corrcoef(np.argsort(np.argsort(overall)), np.arange(48))[0, 1] > 0.97


def test_lamps_burn_by_night_only(at):
    for weather in WEATHERS:
        for moment in hours(at, weather):
            if moment.elevation > 1.5:
                assert not moment.lamps_on
            if moment.elevation < -1:
                assert moment.lamps_on
    low = next(m for m in hours(at, "clear", "2021-03-20") if -1 < m.elevation < 1.5)
    assert not low.lamps_on
    assert at(str(low.time), "rain").lamps_on  # earlier under clouds


def test_clouds_take_the_sun(at):
    assert at().sunlight.min() > 0.7
    for weather in WEATHERS[1:]:
        assert not at(weather=weather).sunlight.any()
    assert not at("2021-06-21T22:00:00").sunlight.any()
    low = at("2021-06-21T16:30:00")
    assert 0 < low.elevation < 10
    assert low.sunlight[0] > 1.2 * low.sunlight[1] > 1.2 * low.sunlight[2]  # red when it is low


def test_the_sky_is_brightest_around_the_sun(at):
    moment = at("2021-06-21T14:00:00")
    here = moment.sky(moment.sun[None])[0]
    across = moment.sky((moment.sun * (-1, -1, 1))[None])[0]
    assert (here > 1.3 * across).all()


def test_clouds_change_with_the_seed(at):
    rays = directions()
    one, same, other = (at(seed=seed).sky(rays) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    fog = at(weather="fog").sky(rays[rays[:, 2] < 0])
    np.testing.assert_allclose(fog, np.broadcast_to(fog[0], fog.shape))  # one grey all round


def test_haze_by_weather(at):
    metres = {weather: at(weather=weather).haze for weather in WEATHERS}
    assert metres["fog"] < metres["snow"] < metres["rain"] < metres["overcast"] < metres["clear"]


def test_the_skyline_hides_the_sky(at):
    line = np.full(360, 2.0, np.float32)
    line[90:100] = 10.0  # a hill in the east
    rays = np.array(
        [
            [np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), np.sin(e)]
            for a, e in np.radians([(95.5, 9.0), (95.5, 11.0), (89.5, 9.0), (100.5, 9.0), (270.5, 1.0), (270.5, 3.0)])
        ]
    )
    moment = at(weather="overcast")
    hidden = (moment.sky(rays, line) != moment.sky(rays)).any(axis=1)
    assert hidden.tolist() == [True, False, False, False, True, False]
    fog = at(weather="fog")
    np.testing.assert_array_equal(fog.sky(rays, line), fog.sky(rays))


def test_a_few_windows_are_lit_far_away_by_night(at):
    night = at("2021-06-21T22:00:00")
    turn = np.radians(np.linspace(0, 360, 2000, endpoint=False))
    rays = np.stack([np.sin(turn), np.cos(turn), np.full(2000, 0.02)], axis=1)
    light = night.sky(rays, np.full(360, 5.0, np.float32))
    lit = light[:, 0] > 0.05
    assert 0.04 < lit.mean() < 0.25


def test_skylines():
    line = draw_skyline(np.random.default_rng(0))
    assert (line.shape, line.dtype) == ((1440,), np.float32)
    assert (line.min() >= 0.4, line.max() < 12, line.max() > 4) == (True, True, True)
    np.testing.assert_array_equal(line, draw_skyline(np.random.default_rng(0)))
    assert (line != draw_skyline(np.random.default_rng(1))).any()
