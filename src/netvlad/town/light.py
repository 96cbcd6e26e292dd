"""Sun, sky and weather at one moment, in linear light where a sunlit white wall is about 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np

from netvlad.places.sun import sun_direction
from netvlad.types import Array, FloatArray

WEATHERS = ("clear", "overcast", "fog", "rain", "snow")
# elevation of the sun in degrees, and light, each red, green, blue: of the sun, the zenith, the horizon below the sun,
# and the opposite horizon
_LIGHT = np.array(
    [
        [-18, 0, 0, 0, 0.0016, 0.002, 0.004, 0.01, 0.007, 0.004, 0.01, 0.007, 0.004],
        [-9, 0, 0, 0, 0.005, 0.008, 0.02, 0.05, 0.024, 0.012, 0.012, 0.011, 0.016],
        [-5, 0, 0, 0, 0.03, 0.045, 0.11, 0.34, 0.13, 0.05, 0.06, 0.055, 0.085],
        [-1, 0.02, 0.007, 0.002, 0.09, 0.13, 0.28, 0.78, 0.36, 0.15, 0.2, 0.19, 0.26],
        [3, 0.34, 0.15, 0.05, 0.13, 0.21, 0.42, 0.92, 0.62, 0.36, 0.36, 0.38, 0.47],
        [10, 0.68, 0.48, 0.29, 0.16, 0.29, 0.56, 0.84, 0.76, 0.62, 0.5, 0.58, 0.7],
        [25, 0.92, 0.82, 0.66, 0.18, 0.34, 0.68, 0.72, 0.78, 0.84, 0.6, 0.72, 0.86],
        [90, 1, 0.94, 0.84, 0.18, 0.36, 0.74, 0.66, 0.78, 0.92, 0.6, 0.74, 0.92],
    ]
)
_ELEVATION, _SUN, _ZENITH, _HORIZON, _OPPOSITE = np.split(_LIGHT, [1, 4, 7, 10], axis=1)
LAMP_COLOUR = np.array([1.0, 0.70, 0.38], np.float32)  # sodium vapour
SHOP_COLOUR = np.array([1.0, 0.86, 0.66], np.float32)


@dataclass(frozen=True)
class Moment:
    """When photos are taken.

    time: UTC. weather: one of WEATHERS. seed: of what differs from date to date (lit windows, cars, clouds).
    """

    time: np.datetime64
    weather: str
    seed: int
    lat: float
    lon: float

    @cached_property
    def sun(self) -> Array:
        """Unit vector (east, north, up) to the sun."""
        return sun_direction(np.asarray(self.time), np.asarray(self.lat), np.asarray(self.lon))

    @property
    def elevation(self) -> float:
        """Elevation of the sun in degrees."""
        return float(np.degrees(np.arcsin(np.clip(self.sun[2], -1, 1))))

    @property
    def lamps_on(self) -> bool:
        """Whether street lamps, signs and windows are lit."""
        return self.elevation < (-1.0 if self.weather == "clear" else 1.5)

    @property
    def season(self) -> str:
        """spring, summer, autumn or winter, of the northern hemisphere."""
        return ("winter", "spring", "summer", "autumn")[int(str(self.time)[5:7]) % 12 // 3]

    def _interpolated(self, table: Array) -> FloatArray:
        return np.array([np.interp(self.elevation, _ELEVATION[:, 0], table[:, i]) for i in range(3)], np.float32)

    @cached_property
    def sunlight(self) -> FloatArray:
        """Light (3,) of the sun on a wall that faces it; 0 unless the sky is clear."""
        return self._interpolated(_SUN) * np.float32(self.weather == "clear")

    @cached_property
    def skylight(self) -> Array:
        """Mean light (3,) of the sky on a level surface."""
        if self.weather == "clear":
            zenith, horizon, opposite = (self._interpolated(table) for table in (_ZENITH, _HORIZON, _OPPOSITE))
            return np.asarray(0.45 * zenith + 0.30 * horizon + 0.25 * opposite)
        return self._grey

    @cached_property
    def _grey(self) -> FloatArray:
        """Light (3,) of a sky without sun."""
        shade = {"fog": 0.9, "rain": 0.55, "snow": 0.95}.get(self.weather, 0.75)
        level = (self._interpolated(_ZENITH) + self._interpolated(_OPPOSITE)).mean() * shade
        glow = np.array([0.010, 0.0075, 0.005]) * (self.elevation < -3)  # clouds reflect the lamps of a city
        return np.asarray(level * np.array([0.95, 0.99, 1.05]) + glow, np.float32)

    @property
    def haze(self) -> float:
        """Distance in metres over which contrast falls to 1 / e."""
        return {"clear": 1500.0, "overcast": 900.0, "fog": 42.0, "rain": 260.0, "snow": 150.0}[self.weather]

    def sky(self, directions: Array, skyline: Array | None = None) -> FloatArray:
        """Light (n, 3) float32 from directions (n, 3).

        skyline: elevations in degrees of distant hills and towers, evenly spaced from north clockwise.
        """
        up = np.clip(directions[:, 2], 0, 1)
        if self.weather == "clear":
            level = directions[:, :2] / (np.linalg.norm(directions[:, :2], axis=1, keepdims=True) + 1e-6)
            toward = 0.5 + 0.5 * level @ (self.sun[:2] / (np.linalg.norm(self.sun[:2]) + 1e-6))
            zenith, below_sun, opposite = (self._interpolated(table) for table in (_ZENITH, _HORIZON, _OPPOSITE))
            horizon = opposite + (below_sun - opposite) * (toward**2)[:, None]
            colour = horizon + (zenith - horizon) * (up**0.45)[:, None]
            clouds = self._clouds(directions, up, cover=0.35)[:, None]
            colour = colour + clouds * (self.skylight * 1.5 + self.sunlight * 0.55 - colour)
            near = np.clip(directions @ self.sun, 0, 1)
            colour = colour + self.sunlight * (1.4 * near**800 + 0.35 * near**60)[:, None]
        else:
            texture: Array = 0.82 + 0.36 * self._clouds(directions, up, cover=0.6)
            if self.weather == "fog":
                texture = np.ones_like(texture)
            colour = self._grey * (texture * (0.85 + 0.3 * up))[:, None]
        if skyline is not None:
            colour = self._behind_skyline(colour, directions, skyline)
        return np.asarray(colour, np.float32)

    def _clouds(self, directions: Array, up: Array, cover: float) -> Array:
        """Share of cloud (n,): noise on a plane overhead, in perspective."""
        noise, drift = _noise(), (self.seed % 997) * 7.31
        scale = 90 / (up + 0.12)
        x = ((directions[:, 0] * scale + drift) % 512).astype(np.float32)
        y = ((directions[:, 1] * scale + drift * 1.7) % 512).astype(np.float32)
        value = noise[y.astype(np.int64) % 512, x.astype(np.int64) % 512]
        return np.asarray(np.clip((value - (1 - cover)) * 3.0, 0, 1) * np.clip(up * 8, 0, 1))

    def _behind_skyline(self, colour: Array, directions: Array, skyline: Array) -> Array:
        """Sky colours (n, 3) with the skyline in front."""
        if self.weather == "fog":
            return colour
        azimuth = np.degrees(np.arctan2(directions[:, 0], directions[:, 1])) % 360
        height = skyline[(azimuth * len(skyline) / 360).astype(np.int64) % len(skyline)]
        elevation = np.degrees(np.arcsin(np.clip(directions[:, 2], -1, 1)))
        behind = elevation < height
        shade = {"clear": 0.5, "overcast": 0.62, "rain": 0.8, "snow": 0.85}[self.weather]
        blue = np.array([0.86, 0.95, 1.1], np.float32)
        far = shade * self.skylight * blue + (1 - shade) * colour
        if self.lamps_on:  # some windows of the skyline are lit
            cell = (azimuth * 5).astype(np.int64) * 7919 + (elevation * 6).astype(np.int64) * 104729 + self.seed
            far = far * 0.4 + LAMP_COLOUR * 0.07 * ((cell * 2654435761 % 1009) < 110)[:, None]
        return np.where(behind[:, None], far, colour)


def draw_skyline(rng: np.random.Generator) -> FloatArray:
    """Draw the elevations in degrees (1440,) of hills, and of towers in clusters."""
    turn = np.arange(1440) / 1440 * 2 * np.pi
    hills = (rng.uniform(0.2, 0.9) * np.sin(k * turn + rng.uniform(0, 6.3)) for k in (1, 2, 3, 5))
    line = 1.5 + sum(hills, np.zeros(1440))
    for _ in range(int(rng.integers(2, 4))):
        middle = rng.integers(1440)
        for _ in range(int(rng.integers(8, 22))):
            at, wide = int(middle + rng.normal(0, 45)), int(rng.integers(3, 12))
            span = np.arange(at, at + wide) % 1440
            line[span] = np.maximum(line[span], rng.uniform(2.5, 8.5) + rng.choice([0, 0, 2.0]))
    return np.maximum(line, 0.4).astype(np.float32)


@cache
def _noise() -> FloatArray:
    """Tileable noise (512, 512) in 0..1 of several octaves, the same in every town."""
    rng = np.random.default_rng(5)
    total = np.zeros((512, 512), np.float32)
    for cells, weight in ((4, 1.0), (8, 0.6), (16, 0.35), (32, 0.2), (64, 0.12)):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        wrapped = np.pad(coarse, 2, mode="wrap")
        size = 512 // cells
        fine = cv2.resize(wrapped, None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
        total += weight * fine[2 * size : -2 * size, 2 * size : -2 * size]
    rank = np.argsort(np.argsort(total.ravel())).reshape(512, 512)
    return (rank / rank.size).astype(np.float32)
