"""Sun, sky, weather and lamps at one moment, in linear light where a sunlit white wall is about 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np

from netvlad.places.sun import sun_direction

WEATHERS = ("clear", "overcast", "fog", "rain", "snow")
# elevation of the sun in degrees -> light: of the sun, the sky overhead, the horizon below the sun, the horizon behind
_AT = np.array([-18, -9, -5, -1, 3, 10, 25, 90.0])
_SUN = np.array(
    [
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0.02, 0.007, 0.002],
        [0.34, 0.15, 0.05],
        [0.68, 0.48, 0.29],
        [0.92, 0.82, 0.66],
        [1.0, 0.94, 0.84],
    ]
)
_ZENITH = np.array(
    [
        [0.0016, 0.002, 0.004],
        [0.005, 0.008, 0.02],
        [0.03, 0.045, 0.11],
        [0.09, 0.13, 0.28],
        [0.13, 0.21, 0.42],
        [0.16, 0.29, 0.56],
        [0.18, 0.34, 0.68],
        [0.18, 0.36, 0.74],
    ]
)
_GLOW = np.array(
    [
        [0.010, 0.007, 0.004],
        [0.05, 0.024, 0.012],
        [0.34, 0.13, 0.05],
        [0.78, 0.36, 0.15],
        [0.92, 0.62, 0.36],
        [0.84, 0.76, 0.62],
        [0.72, 0.78, 0.84],
        [0.66, 0.78, 0.92],
    ]
)
_BEHIND = np.array(
    [
        [0.010, 0.007, 0.004],
        [0.012, 0.011, 0.016],
        [0.06, 0.055, 0.085],
        [0.20, 0.19, 0.26],
        [0.36, 0.38, 0.47],
        [0.50, 0.58, 0.70],
        [0.60, 0.72, 0.86],
        [0.60, 0.74, 0.92],
    ]
)
LAMP = np.array([1.0, 0.70, 0.38], np.float32)  # sodium is going, its colour has not
SHOP = np.array([1.0, 0.86, 0.66], np.float32)


@dataclass(frozen=True)
class Moment:
    """time: UTC; weather: one of WEATHERS; seed: of what differs from date to date (windows lit, cars, clouds)."""

    time: np.datetime64
    weather: str
    seed: int
    lat: float
    lon: float

    @cached_property
    def sun(self) -> np.ndarray:
        """Unit vector (east, north, up) to the sun."""
        return sun_direction(self.time, self.lat, self.lon)

    @property
    def elevation(self) -> float:
        return float(np.degrees(np.arcsin(np.clip(self.sun[2], -1, 1))))

    @property
    def lamps_on(self) -> bool:
        return self.elevation < (-1.0 if self.weather == "clear" else 1.5)

    @property
    def season(self) -> str:
        month = int(str(self.time)[5:7])
        return {12: "winter", 1: "winter", 2: "winter", 3: "spring", 4: "spring", 5: "spring"}.get(
            month, "summer" if month < 9 else "autumn"
        )

    def _between(self, table: np.ndarray) -> np.ndarray:
        return np.array([np.interp(self.elevation, _AT, table[:, i]) for i in range(3)], np.float32)

    @cached_property
    def sunlight(self) -> np.ndarray:
        """(3,) of a wall that faces the sun; clouds and fog take it."""
        return self._between(_SUN) * np.float32({"clear": 1.0, "snow": 0.0}.get(self.weather, 0.0))

    @cached_property
    def skylight(self) -> np.ndarray:
        """(3,) mean light of the sky on a level surface."""
        if self.weather == "clear":
            return 0.45 * self._between(_ZENITH) + 0.30 * self._between(_GLOW) + 0.25 * self._between(_BEHIND)
        return self._grey

    @cached_property
    def _grey(self) -> np.ndarray:
        level = (self._between(_ZENITH) + self._between(_BEHIND)).mean() * {"fog": 0.9, "rain": 0.55, "snow": 0.95}.get(
            self.weather, 0.75
        )
        glow = np.array([0.010, 0.0075, 0.005]) * (self.elevation < -3)  # cities light their clouds
        return (level * np.array([0.95, 0.99, 1.05]) + glow).astype(np.float32)

    @property
    def haze(self) -> float:
        """Metres in which a thing loses two thirds of its contrast."""
        return {"clear": 1500.0, "overcast": 900.0, "fog": 42.0, "rain": 260.0, "snow": 150.0}[self.weather]

    def sky(self, directions: np.ndarray, skyline: np.ndarray | None = None) -> np.ndarray:
        """Light (n, 3) float32 from directions (n, 3); skyline (n,) elevations in degrees, from north on."""
        up = np.clip(directions[:, 2], 0, 1)
        if self.weather == "clear":
            level = directions[:, :2] / (np.linalg.norm(directions[:, :2], axis=1, keepdims=True) + 1e-6)
            toward = 0.5 + 0.5 * level @ (self.sun[:2] / (np.linalg.norm(self.sun[:2]) + 1e-6))
            horizon = self._between(_BEHIND) + (self._between(_GLOW) - self._between(_BEHIND)) * (toward**2)[:, None]
            colour = horizon + (self._between(_ZENITH) - horizon) * (up**0.45)[:, None]
            colour = colour + self._clouds(directions, up, cover=0.35)[:, None] * (
                self.skylight * 1.5 + self.sunlight * 0.55 - colour
            )
            near = np.clip(directions @ self.sun, 0, 1)
            colour = colour + self.sunlight * (1.4 * near**800 + 0.35 * near**60)[:, None]
        else:
            texture = 0.82 + 0.36 * self._clouds(directions, up, cover=0.6)
            if self.weather == "fog":
                texture = np.ones_like(texture)
            colour = self._grey * (texture * (0.85 + 0.3 * up))[:, None]
        if skyline is not None:
            colour = self._far(colour, directions, skyline)
        return colour.astype(np.float32)

    def _clouds(self, directions: np.ndarray, up: np.ndarray, cover: float) -> np.ndarray:
        """Share of cloud (n,): noise on a plane overhead, drawn out towards the horizon."""
        noise, drift = _noise(), (self.seed % 997) * 7.31
        scale = 90 / (up + 0.12)
        x = ((directions[:, 0] * scale + drift) % 512).astype(np.float32)
        y = ((directions[:, 1] * scale + drift * 1.7) % 512).astype(np.float32)
        value = noise[y.astype(np.int64) % 512, x.astype(np.int64) % 512]
        return np.clip((value - (1 - cover)) * 3.0, 0, 1) * np.clip(up * 8, 0, 1)

    def _far(self, colour: np.ndarray, directions: np.ndarray, skyline: np.ndarray) -> np.ndarray:
        if self.weather == "fog":
            return colour
        azimuth = np.degrees(np.arctan2(directions[:, 0], directions[:, 1])) % 360
        height = skyline[(azimuth * len(skyline) / 360).astype(np.int64) % len(skyline)]
        elevation = np.degrees(np.arcsin(np.clip(directions[:, 2], -1, 1)))
        behind = elevation < height
        shade = {"clear": 0.5, "overcast": 0.62, "rain": 0.8, "snow": 0.85}[self.weather]
        blue = np.array([0.86, 0.95, 1.1], np.float32)
        far = shade * self.skylight * blue + (1 - shade) * colour
        if self.lamps_on:  # a few windows are lit far away too
            cell = (azimuth * 5).astype(np.int64) * 7919 + (elevation * 6).astype(np.int64) * 104729 + self.seed
            far = far * 0.4 + LAMP * 0.07 * ((cell * 2654435761 % 1009) < 110)[:, None]
        return np.where(behind[:, None], far, colour)


def draw_skyline(rng: np.random.Generator) -> np.ndarray:
    """(1440,) elevations in degrees: hills, and towers in clusters."""
    turn = np.arange(1440) / 1440 * 2 * np.pi
    line = 1.5 + sum(rng.uniform(0.2, 0.9) * np.sin(k * turn + rng.uniform(0, 6.3)) for k in (1, 2, 3, 5))
    for _ in range(int(rng.integers(2, 4))):
        middle = rng.integers(1440)
        for _ in range(int(rng.integers(8, 22))):
            at, wide = int(middle + rng.normal(0, 45)), int(rng.integers(3, 12))
            span = np.arange(at, at + wide) % 1440
            line[span] = np.maximum(line[span], rng.uniform(2.5, 8.5) + rng.choice([0, 0, 2.0]))
    return np.maximum(line, 0.4).astype(np.float32)


@cache
def _noise() -> np.ndarray:
    """Tileable noise (512, 512) in 0..1, several octaves; the same in every town."""
    rng = np.random.default_rng(5)
    total = np.zeros((512, 512), np.float32)
    for cells, weight in ((4, 1.0), (8, 0.6), (16, 0.35), (32, 0.2), (64, 0.12)):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        wrapped = np.pad(coarse, 2, mode="wrap")
        size = 512 // cells
        total += (
            weight
            * cv2.resize(wrapped, None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)[
                2 * size : -2 * size, 2 * size : -2 * size
            ]
        )
    rank = np.argsort(np.argsort(total.ravel())).reshape(512, 512)
    return (rank / rank.size).astype(np.float32)
