"""Where photos are taken: by a camera car on several days, and by people with phones at any hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.panoramas.camera import Camera
from netvlad.town.camera_pipeline import CameraSettings
from netvlad.town.light import Moment
from netvlad.town.plan import Plan
from netvlad.town.world import LAT, LON, Neighbourhood

CAMERA_HEIGHT = 2.5  # metres, of the camera car
END = 18.0  # metres before the end of a street where the survey stops
HOURS = {"day": (6.5, 12.5), "sunset": (0.0, 0.0), "night": (18.5, 22.0)}  # UTC; noon is at 9:48
SUNSET = (-4.0, 2.5)  # degrees of the sun's elevation


@dataclass(frozen=True)
class Shot:
    """A panorama to take. position: x, y on the plan and metres above the ground. heading: degrees from north."""

    name: str
    position: tuple[float, float, float]
    heading: float
    moment: Moment
    settings: CameraSettings


@dataclass(frozen=True)
class Query(Shot):
    """A photo to take with the perspective `camera` of a phone."""

    camera: Camera


def survey_stops(plan: Plan, spacing: float, rng: np.random.Generator) -> list[tuple[int, float]]:
    """Draw where the camera car stops, about every `spacing` metres: (street, metres along it)."""
    out = []
    for number, street in enumerate(plan.streets):
        d = END + rng.uniform(0, spacing)
        while d < street.length - END:
            out.append((number, d))
            d += spacing * rng.uniform(0.8, 1.2)
    return out


def survey_moments(seed: int, number: int, dates: int) -> list[Moment]:
    """Draw one moment for each date: by daylight, in any season, without fog."""
    rng = np.random.default_rng([seed, number, 2])
    months = np.sort(rng.choice(72, dates, replace=False))
    out = []
    for date, month in enumerate(months):
        day = np.datetime64("2016-01", "M") + int(month)
        snowy = int(month) % 12 in (0, 1, 11) and rng.random() < 0.5
        weather = "snow" if snowy else rng.choice(["clear", "clear", "clear", "overcast", "overcast", "rain"])
        time = _clock(day, int(rng.integers(1, 28)), rng.uniform(*HOURS["day"]))
        out.append(Moment(time, str(weather), int(rng.integers(1 << 30)) * 64 + date, LAT, LON))
    return out


def survey(place: Neighbourhood, stops: list[tuple[int, float]], date: int, moment: Moment) -> list[Shot]:
    """The panoramas of one date, taken at about the same stops on every date."""
    rng = np.random.default_rng([place.seed, place.number, 3, date])
    settings = draw_camera_settings(rng, moment, phone=False)
    out = []
    for i, (number, along) in enumerate(stops):
        street = place.plan.streets[number]
        d, s = along + rng.normal(0, 1.2), min(1.5, street.kerb / 2) + rng.normal(0, 0.25)
        x, y = street.start + street.along * np.clip(d, 3, street.length - 3) + street.right * s
        heading = (street.heading + place.turn + rng.normal(0, 2)) % 360
        later = Moment(moment.time + np.timedelta64(5 * i, "s"), moment.weather, moment.seed, LAT, LON)
        name = f"n{place.number:02d}_d{date:02d}_{i:04d}"
        out.append(Shot(name, (float(x), float(y), CAMERA_HEIGHT), float(heading), later, settings))
    return out


def query_moments(seed: int, number: int, visits: int) -> list[tuple[str, Moment]]:
    """Draw ("day", "sunset" or "night" in turn, moment) for each visit, all after the last survey."""
    rng = np.random.default_rng([seed, number, 4])
    out = []
    for visit in range(visits):
        light = ("day", "sunset", "night")[visit % 3]
        month = np.datetime64("2022-01", "M") + int(rng.integers(24))
        day = int(rng.integers(1, 28))
        weather = str(rng.choice(["clear", "clear", "overcast", "rain", "fog" if light == "day" else "clear"]))
        if month.astype(int) % 12 in (0, 1, 11) and rng.random() < 0.3:
            weather = "snow"
        if light == "sunset":
            weather = "clear" if rng.random() < 0.7 else "overcast"
            time = _sunset(month, day, rng.uniform(*SUNSET))
        else:
            time = _clock(month, day, rng.uniform(*HOURS[light]))
        out.append((light, Moment(time, weather, int(rng.integers(1 << 30)) * 64 + visit + 32, LAT, LON)))
    return out


def draw_query(
    place: Neighbourhood, light: str, moment: Moment, name: str, size: tuple[int, int], rng: np.random.Generator
) -> Query:
    """Draw the photo of a phone held by somebody on the pavement, sometimes on the road."""
    plan = place.plan
    street = plan.streets[rng.integers(len(plan.streets))]
    along = rng.uniform(END, street.length - END)
    if rng.random() < 0.8:
        aside = rng.choice([-1, 1]) * rng.uniform(street.kerb + 1.3, street.half - 0.3)
    else:
        aside = rng.uniform(-1, 1) * street.kerb * 0.6
    x, y = street.start + street.along * along + street.right * aside
    heading = float(rng.uniform(0, 360))
    wide, high = size if rng.random() < 0.75 else size[::-1]
    fov = float(rng.uniform(56, 72)) * (1.0 if wide > high else 0.75)
    camera = Camera(heading, float(rng.normal(6, 5)), float(rng.normal(0, 2.5)), fov, wide, high)
    position = float(x), float(y), float(rng.uniform(1.45, 1.8))
    return Query(name, position, heading, moment, draw_camera_settings(rng, moment, True, light), camera)


def draw_camera_settings(rng: np.random.Generator, moment: Moment, phone: bool, light: str = "day") -> CameraSettings:
    """Draw how a phone, or the camera car, takes a photo by day, at sunset or by night."""
    tint = rng.normal(0, 0.05 if phone else 0.03)
    white_balance = (1 + tint, 1.0, 1 - tint)
    if light != "day" and moment.lamps_on:  # white balance corrects only a part of the lamps' colour
        warm = rng.uniform(0.1, 0.5)
        white_balance = (white_balance[0] * (1 - 0.2 * warm), 1.0, white_balance[2] * (1 + 0.8 * warm))
    return CameraSettings(
        exposure=float(rng.normal(0, 0.35 if phone else 0.2)),
        white_balance=white_balance,
        noise=float(rng.uniform(0.006, 0.014)) if phone else 0.005,
        vignetting=float(rng.uniform(0.1, 0.45)) if phone else 0.0,
        motion_blur=_hand_shake(rng, light) if phone else (0.0, 0.0),
    )


def _hand_shake(rng: np.random.Generator, light: str) -> tuple[float, float]:
    return float(rng.exponential(1.2 if light == "night" else 0.5)), float(rng.uniform(0, 180))


def _clock(month: np.datetime64, day: int, hour: float) -> np.datetime64:
    start: np.datetime64 = month.astype("datetime64[D]").astype("datetime64[s]")
    return start + np.timedelta64(int((day - 1) * 86400 + hour * 3600), "s")


def _sunset(month: np.datetime64, day: int, elevation: float) -> np.datetime64:
    """The minute of the evening when the sun is closest to `elevation` degrees."""
    minutes = [_clock(month, day, 11 + i / 60) for i in range(600)]
    heights = [Moment(time, "clear", 0, LAT, LON).elevation for time in minutes]
    return minutes[int(np.argmin(np.abs(np.array(heights) - elevation)))]
