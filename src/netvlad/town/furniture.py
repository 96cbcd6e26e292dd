"""What stands in the streets on every date: lamps, furniture, trees, and their leaves by season."""

from __future__ import annotations

import numpy as np

from netvlad.town.facades import posters
from netvlad.town.mesh import LEAF, Mesh, Textures
from netvlad.town.plan import Plan, on_crossing
from netvlad.town.styles import DOORS, SIGNS
from netvlad.types import Array

POST = 5.6  # metres from the ground to a lamp
LEAVES = {
    "spring": ((124, 158, 70), (140, 170, 84)),
    "summer": ((66, 104, 44), (82, 118, 52)),
    "autumn": ((190, 122, 40), (168, 72, 34)),
}


def place_lamps(plan: Plan, mesh: Mesh) -> Array:
    """Add posts with an arm over the road and return where their light is, (n, 3)."""
    metal = mesh.add_material(colour=(62, 66, 66))
    bulb = mesh.add_material(colour=(226, 222, 206), emission=6.0)
    lights = []
    for x, y, dx, dy in plan.lamps:
        foot, arm = np.array([x, y, 0.0]), np.array([dx, dy, 0.0])
        head = foot + [0, 0, POST] + arm * 1.1
        mesh.tube(foot, foot + [0, 0, POST], 0.09, metal, tip=0.05, sides=6)
        mesh.tube(foot + [0, 0, POST], head + [0, 0, 0.1], 0.04, metal, sides=4)
        mesh.box(head - [0, 0, 0.12], (0.28, 0.6, 0.14), float(np.degrees(np.arctan2(dx, dy))), bulb, metal)
        lights.append(head - [0, 0, 0.15])
    return np.array(lights).reshape(-1, 3)


def place_furniture(plan: Plan, mesh: Mesh, textures: Textures, rng: np.random.Generator) -> None:
    """Add benches, bins, letter boxes, planters, poster columns and bollards along the kerbs."""
    wood, metal, green = (mesh.add_material(colour=c) for c in ((120, 84, 52), (70, 74, 76), (60, 92, 48)))
    for street in plan.streets:
        for d in np.arange(rng.uniform(3, 12), street.length - 3, 9.0):
            d, side = d + rng.uniform(-3, 3), rng.choice([-1, 1])
            if rng.random() < 0.45 or on_crossing(plan, street, d, 2.5):
                continue
            spot = np.array([*(street.start + street.along * d + street.right * side * (street.kerb + 0.55)), 0.0])
            kind, heading = rng.integers(6), street.heading
            if kind == 0:
                mesh.box(spot + [0, 0, 0.38], (0.45, 1.7, 0.07), heading, wood)
                mesh.box(spot, (0.35, 1.3, 0.38), heading, metal)
            elif kind == 1:
                mesh.tube(spot, spot + [0, 0, 0.9], 0.24, metal, sides=8)
            elif kind == 2:
                mesh.box(spot, (0.4, 0.5, 1.3), heading, mesh.add_material(colour=DOORS[rng.integers(len(DOORS))]))
            elif kind == 3:
                mesh.box(spot, (0.6, 1.6, 0.5), heading, mesh.add_material(colour=(150, 120, 96)))
                mesh.box(spot + [0, 0, 0.5], (0.5, 1.5, rng.uniform(0.2, 0.6)), heading, green)
            elif kind == 4 and rng.random() < 0.5:
                _column(mesh, textures, rng, spot)
            else:
                for step in (-1.2, 0, 1.2):  # bollards
                    foot = spot + np.array([*street.along, 0]) * step
                    mesh.tube(foot, foot + [0, 0, 0.85], 0.07, metal, tip=0.05, sides=6)


def _column(mesh: Mesh, textures: Textures, rng: np.random.Generator, spot: Array) -> None:
    """Add a poster column."""
    sides, radius = 10, 0.6
    poster = textures.add(posters(rng, 3.8, 2.6, SIGNS[rng.integers(len(SIGNS))]))
    material = mesh.add_material(texture=poster, size=(3.8, 2.6))
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    ring = spot + radius * np.stack([np.cos(turn), np.sin(turn), np.zeros(sides + 1)], 1)
    for i in range(sides):
        a, b, c, d = ring[i], ring[i + 1], ring[i + 1] + [0, 0, 2.6], ring[i] + [0, 0, 2.6]
        u, v = i / sides, (i + 1) / sides
        mesh.triangles(
            np.array([[a, b, c], [a, c, d]]), material, np.array([[[u, 0], [v, 0], [v, 1]], [[u, 0], [v, 1], [u, 1]]])
        )
    roof = mesh.add_material(colour=(50, 60, 56))
    mesh.tube(spot + [0, 0, 2.6], spot + [0, 0, 3.3], 0.7, roof, tip=0.05, sides=sides)


def plant_trees(plan: Plan, mesh: Mesh, rng: np.random.Generator) -> Array:
    """Add bare trunks and branches and return the tips where leaves grow, (n, 3)."""
    bark = mesh.add_material(colour=(84, 68, 54))
    tips = []
    for x, y, height in plan.trees:
        foot = np.array([x, y, 0.0])
        fork = foot + [*rng.uniform(-0.2, 0.2, 2), height * rng.uniform(0.3, 0.42)]
        mesh.tube(foot, fork, 0.028 * height, bark, tip=0.018 * height)
        for i in range(6):
            turn = 2 * np.pi * (i + rng.uniform(0, 0.8)) / 6
            lift = rng.uniform(0.5, 1.2)
            way = np.array([np.cos(turn), np.sin(turn), lift]) / np.hypot(1, lift)
            bough = fork + way * height * rng.uniform(0.28, 0.45)
            mesh.tube(fork, bough, 0.012 * height, bark, tip=0.006 * height, sides=4)
            for _ in range(4):
                twig = bough + (way * 0.6 + rng.normal(0, 0.55, 3)) * height * 0.16
                mesh.tube(bough, twig, 0.005 * height, bark, tip=0.002 * height, sides=3)
                tips += [bough * 0.5 + twig * 0.5, twig]
    return np.array(tips).reshape(-1, 3)


def grow_leaves(tips: Array, season: str, mesh: Mesh, rng: np.random.Generator) -> None:
    """Add small cards around each tip: none in winter, fewer in spring and autumn than in summer."""
    if season not in LEAVES or not len(tips):
        return
    each = {"spring": 16, "summer": 26, "autumn": 14}[season]
    centres = np.repeat(tips, each, axis=0) + rng.normal(0, 0.45, (len(tips) * each, 3))
    one, two = rng.normal(size=(2, len(centres), 3))
    two = np.cross(one, two)
    size = rng.uniform(0.08, 0.17, (len(centres), 1))
    one *= size / np.linalg.norm(one, axis=1, keepdims=True)
    two *= size / np.linalg.norm(two, axis=1, keepdims=True)
    shades = [mesh.add_material(colour=np.array(c) + d, kind=LEAF) for c in LEAVES[season] for d in (-14, 0, 14)]
    corners = np.stack([centres - one - two, centres + one - two, centres + one + two, centres - one + two], 1)
    shade = np.repeat(rng.choice(shades, len(centres)), 2)
    mesh.triangles(corners[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3), shade)
