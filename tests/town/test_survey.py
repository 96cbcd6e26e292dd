from __future__ import annotations

import numpy as np
import pytest

from netvlad.town.plan import draw_plan
from netvlad.town.survey import (
    CAMERA_HEIGHT,
    END,
    SUNSET,
    Shot,
    draw_query,
    query_moments,
    survey,
    survey_moments,
    survey_stops,
)


@pytest.mark.parametrize("spacing", [1.0, 10.0, 12.0, 50.0])
def test_stops_are_as_far_apart_as_wanted(spacing):
    for seed in range(6):
        plan = draw_plan(np.random.default_rng(seed), 2, 2)
        stops = survey_stops(plan, spacing, np.random.default_rng(seed))
        assert {street for street, _ in stops} == set(range(4))  # no street without one
        for number, street in enumerate(plan.streets):
            along = np.array([d for n, d in stops if n == number])
            assert END <= along[0] < END + spacing
            assert along[-1] < street.length - END <= along[-1] + 1.2 * spacing
            gaps = np.diff(along)
            assert (gaps >= 0.8 * spacing - 1e-9).all()
            assert (gaps <= 1.2 * spacing + 1e-9).all()


@pytest.mark.parametrize("seed", range(8))
def test_surveys_are_by_daylight_on_dates_of_their_own(seed):
    moments = survey_moments(seed, 2, 12)
    times = np.array([m.time for m in moments])
    assert len(np.unique(times.astype("datetime64[M]"))) == 12
    assert (np.diff(times) > np.timedelta64(0, "s")).all()
    assert times[0] >= np.datetime64("2016-01-01")
    assert times[-1] < np.datetime64("2022-01-01")
    for moment in moments:
        assert moment.elevation > 7
        assert not moment.lamps_on
        assert moment.weather in ("clear", "overcast", "rain", "snow")
        assert moment.weather != "snow" or str(moment.time)[5:7] in ("12", "01", "02")
    assert len({m.seed for m in moments}) == 12
    assert moments == survey_moments(seed, 2, 12)
    assert moments != survey_moments(seed + 1, 2, 12)
    assert moments != survey_moments(seed, 3, 12)


def test_many_dates():
    assert len({str(m.time)[:7] for m in survey_moments(0, 0, 72)}) == 72


def test_the_camera_car_drives_on_the_right_and_looks_ahead(place):
    stops = survey_stops(place.plan, 8.0, np.random.default_rng(0))
    moment = survey_moments(3, 0, 1)[0]
    shots = survey(place, stops, 0, moment)
    assert len({shot.name for shot in shots}) == len(stops) == len(shots)
    for i, (shot, (number, along)) in enumerate(zip(shots, stops, strict=True)):
        street = place.plan.streets[number]
        away = np.array(shot.position[:2]) - street.start
        assert abs(away @ street.along - along) < 6  # 1.2 m of pixel_angle
        assert 0 < away @ street.right < street.kerb
        assert shot.position[2] == CAMERA_HEIGHT
        ahead = street.heading + place.turn
        assert abs((shot.heading - ahead + 180) % 360 - 180) < 10  # 2 degrees of pixel_angle
        assert 0 <= shot.heading < 360
        assert type(shot) is Shot  # a panorama
        assert shot.moment.time == moment.time + np.timedelta64(5 * i, "s")
        assert (shot.moment.weather, shot.moment.seed) == (moment.weather, moment.seed)
        assert shot.settings.motion_blur == (0, 0)
        assert shot.settings == shots[0].settings  # one car, one day, one setting


def test_the_car_comes_back_to_nearly_the_same_spots(place):
    stops = survey_stops(place.plan, 8.0, np.random.default_rng(0))
    dates = [survey(place, stops, i, m) for i, m in enumerate(survey_moments(3, 0, 2))]
    one, two = (np.array([shot.position[:2] for shot in shots]) for shots in dates)
    gaps = np.linalg.norm(one - two, axis=1)
    assert 0.3 < np.median(gaps) < 3
    assert gaps.max() < 8
    assert not {s.name for s in dates[0]} & {s.name for s in dates[1]}
    assert survey(place, stops, 0, survey_moments(3, 0, 2)[0]) == dates[0]


@pytest.mark.parametrize("seed", range(6))
def test_people_come_by_day_at_sunset_and_by_night(seed):
    visits = query_moments(seed, 1, 12)
    assert [light for light, _ in visits] == ["day", "sunset", "night"] * 4
    for light, moment in visits:
        assert np.datetime64("2022-01-01") <= moment.time < np.datetime64("2024-01-01")
        if light == "day":
            assert moment.elevation > 7
            assert not moment.lamps_on
        elif light == "sunset":
            assert SUNSET[0] - 0.15 <= moment.elevation <= SUNSET[1] + 0.15
            assert moment.sun[0] < 0  # in the west: it sets
            assert moment.weather in ("clear", "overcast", "snow")
        else:
            assert moment.elevation < -6
            assert moment.lamps_on
        assert light == "day" or moment.weather != "fog"
    assert len({m.seed for _, m in visits}) == 12
    assert visits == query_moments(seed, 1, 12)
    assert visits != query_moments(seed, 2, 12)


def test_sunsets_are_spread_over_their_range():
    low = [m.elevation for seed in range(20) for light, m in query_moments(seed, 0, 3) if light == "sunset"]
    assert min(low) < -2
    assert max(low) > 1


def test_phones_are_held_by_people_on_foot(place):
    rng = np.random.default_rng(0)
    light, moment = query_moments(3, 0, 3)[2]
    shots = [draw_query(place, light, moment, "q", (400, 300), rng) for _ in range(300)]
    aside, upright, bluer = [], [], []
    for shot in shots:
        point = np.array(shot.position[:2])
        # on a street, not too near to its end
        offsets = [abs((point - s.start) @ s.right) - s.kerb for s in place.plan.streets]
        half = [s.half - s.kerb for s in place.plan.streets]
        on = [i for i, s in enumerate(place.plan.streets) if offsets[i] <= half[i] - 0.29]
        assert on
        assert any((point - place.plan.streets[i].start) @ place.plan.streets[i].along >= END for i in on)
        aside.append(min(offsets) > 0)
        assert 1.45 <= shot.position[2] <= 1.8
        camera = shot.camera
        assert shot.heading == camera.heading
        assert sorted((camera.width, camera.height)) == [300, 400]
        upright.append(camera.height > camera.width)
        assert abs(camera.pitch - 6) < 25
        assert abs(camera.roll) < 12
        assert (42 <= camera.fov <= 54) if upright[-1] else (56 <= camera.fov <= 72)
        assert 0.1 <= shot.settings.vignetting <= 0.45
        bluer.append(shot.settings.white_balance[2] / shot.settings.white_balance[0])
    assert 0.6 < np.mean(aside) < 0.95  # most on the pavement
    assert 0.15 < np.mean(upright) < 0.35
    assert np.mean(bluer) == pytest.approx(1.24 / 0.94, abs=0.05)  # half the way against the colour of the lamps
    headings = np.array([shot.heading for shot in shots])
    assert np.histogram(headings, bins=6, range=(0, 360))[0].min() > 25
    again = draw_query(place, light, moment, "q", (400, 300), np.random.default_rng(0))
    assert again == shots[0]
