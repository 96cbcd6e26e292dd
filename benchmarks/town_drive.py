"""A drive through a drawn town that meets itself, by day or by night, with true poses.

    python benchmarks/town_drive.py --out DRIVE [--seed 21] [--light day]

DRIVE gets frames/000000.jpg ..., 320x240, rgb.txt (time and frame) and groundtruth.txt (time, position, quaternion),
the layout of TUM, and camera.txt (fx fy cx cy). The car drives on the right at changing speed, two and a half frames a
second; three blocks are driven twice in one direction and four in both. A killed run goes on.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from netvlad.panoramas.camera import Camera
from netvlad.runtime.progress import progress
from netvlad.town.build import photo_rng, save_photo
from netvlad.town.camera_pipeline import apply_camera
from netvlad.town.light import Moment
from netvlad.town.survey import Query, draw_camera_settings
from netvlad.town.world import LAT, LON, Neighbourhood

# crossings (across, along) that are driven over in turn
ROUTE = [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2)]
ROUTE += [(0, 1), (1, 1), (2, 1), (2, 0), (1, 0)]
MOMENTS = {"day": ("2019-06-11T09:30:00", "clear", 5), "night": ("2021-10-03T20:10:00", "overcast", 11)}
EVERY, LANE, HEIGHT, FOV, SIZE = 0.4, 1.7, 1.5, 75.0, (320, 240)  # seconds, metres, metres, degrees, pixels


def drive(place: Neighbourhood, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (n,) in seconds, positions (n, 2) on the plan and headings (n,) in degrees from its y axis."""
    across = [s.start[0] for s in place.plan.streets if abs(s.along[1]) > 0.5]
    along = [s.start[1] for s in place.plan.streets if abs(s.along[0]) > 0.5]
    nodes = np.array([(across[i], along[j]) for i, j in ROUTE])
    pieces = []
    for a, b in pairwise(nodes):
        ahead = (b - a) / np.linalg.norm(b - a)
        at = np.arange(0, np.linalg.norm(b - a), 0.25)
        pieces.append(a + at[:, None] * ahead + LANE * np.array([ahead[1], -ahead[0]]))
    line = gaussian_filter1d(np.concatenate(pieces), 14, axis=0, mode="nearest")  # corners are rounded
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    ahead = np.gradient(line, axis=0)
    turned = np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 1]))
    rng = np.random.default_rng([seed, 4])
    t, s = np.arange(0, 1000, EVERY), 0.0
    speed = 7.5 + 2.5 * gaussian_filter1d(rng.normal(size=len(t)), 12) * 6
    s = np.cumsum(np.clip(speed, 4, 11) * EVERY)
    s, t = s[s < walked[-1]], t[s < walked[-1]]
    position = np.stack([np.interp(s, walked, line[:, i]) for i in (0, 1)], 1)
    return t, position + rng.normal(0, 0.15, position.shape), np.degrees(np.interp(s, walked, turned))


def draw(out: Path, seed: int, light: str) -> None:
    (out / "frames").mkdir(parents=True, exist_ok=True)
    place = Neighbourhood.draw(seed, 0, (3, 3))
    time, weather, salt = MOMENTS[light]
    moment = Moment(np.datetime64(time), weather, seed * 64 + salt, LAT, LON)
    scene = place.scene(moment)
    t, position, heading = drive(place, seed * 100 + salt)
    settings = draw_camera_settings(np.random.default_rng([seed, salt]), moment, phone=False, light=light)
    world = place.to_world(np.c_[position, np.full(len(t), HEIGHT)])
    north = heading + place.turn
    with progress("drawing frames", len(t)) as advance:
        for i in range(len(t)):
            file = out / "frames" / f"{i:06d}.jpg"
            rng = photo_rng(seed, f"{light}{i}")
            camera = Camera(float(north[i] % 360), float(rng.normal(2, 0.6)), float(rng.normal(0, 0.6)), FOV, *SIZE)
            shot = Query(file.stem, (*position[i], HEIGHT), camera.heading, moment, settings, camera)
            if not file.exists():
                seen = scene.render(world[i], camera.rays(), np.radians(FOV) / SIZE[0])[0]
                save_photo(file, apply_camera(seen, settings, rng), shot)
            advance(1)
    yaw = np.radians(90 - north)  # counter-clockwise from east, of the way ahead
    start = np.datetime64(time).astype("datetime64[s]").astype(np.int64)
    rows = [f"{start + t[i]:.3f} frames/{i:06d}.jpg" for i in range(len(t))]
    (out / "rgb.txt").write_text("\n".join(["# time frame", *rows]) + "\n")
    poses = [
        f"{start + t[i]:.3f} {world[i, 0]:.4f} {world[i, 1]:.4f} {HEIGHT:.4f} "
        f"0 0 {np.sin(yaw[i] / 2):.7f} {np.cos(yaw[i] / 2):.7f}"
        for i in range(len(t))
    ]
    (out / "groundtruth.txt").write_text("\n".join(["# time tx ty tz qx qy qz qw", *poses]) + "\n")
    fx = Camera(0, 0, 0, FOV, *SIZE).focal
    (out / "camera.txt").write_text(f"{fx:.4f} {fx:.4f} {(SIZE[0] - 1) / 2} {(SIZE[1] - 1) / 2}\n")
    print(f"{out}: {len(t)} frames, {np.linalg.norm(np.diff(position, axis=0), axis=1).sum():.0f} m, {light}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--light", choices=list(MOMENTS), default="day")
    given = parser.parse_args()
    draw(given.out, given.seed, given.light)


if __name__ == "__main__":
    main()
