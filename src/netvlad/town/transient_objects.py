"""Transient objects, which differ from date to date: cars, people, scaffolding, hoardings."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from netvlad.town.facades import posters
from netvlad.town.mesh import Mesh, Textures, axes
from netvlad.town.plan import Lot, Plan, Street, on_crossing
from netvlad.town.styles import SIGNS, rgb

Parts: TypeAlias = tuple[int, int, int, int]  # materials of a car's glass, tyres, headlights and rear lights

CAR_COLOURS = rgb("b4181c 1e3c78 282c30 ced0d2 ececea 787e82 18503c c4a03c 5a1e28")
CLOTHES_COLOURS = rgb("282a3c 78282c 3c5a46 b4a078 1e1e22 c8c4be 466ea0 d27828")


def add_transient_objects(plan: Plan, mesh: Mesh, textures: Textures, rng: np.random.Generator, busy: float) -> None:
    """Add the cars, people, scaffolding and hoardings of one date. busy: 0..1, share of moving cars and people."""
    glass, tyre = mesh.add_material(colour=(36, 42, 48)), mesh.add_material(colour=(26, 26, 28))
    front = mesh.add_material(colour=(230, 230, 220), emission=5.0)
    rear = mesh.add_material(colour=(130, 20, 20), emission=1.5)
    parts = (glass, tyre, front, rear)
    for street in plan.streets:
        _park_cars(plan, street, mesh, rng, parts)
        _drive(plan, street, mesh, rng, parts, busy)
        for _ in range(rng.poisson(busy * street.length / 14)):
            side, spot = rng.choice([-1, 1]), rng.uniform(0, street.length)
            aside = street.right * side * rng.uniform(street.kerb + 0.6, street.half - 0.5)
            x, y = street.start + street.along * spot + aside
            _person(mesh, rng, x, y, street.heading + rng.choice([0, 180]) + rng.normal(0, 15))
    for lot in plan.lots:
        chance = rng.random()
        if chance < 0.05:
            _scaffold(mesh, rng, lot)
        elif chance < 0.09:
            _hoarding(mesh, textures, rng, lot)


def _park_cars(plan: Plan, street: Street, mesh: Mesh, rng: np.random.Generator, parts: Parts) -> None:
    if street.kerb < 3.5:
        return
    for side in (-1, 1):
        for d in np.arange(2.0, street.length - 4, 5.6):
            if rng.random() < 0.55 and not on_crossing(plan, street, d, 4.0):
                aside = street.right * side * (street.kerb - 1.05)
                x, y = street.start + street.along * (d + rng.uniform(-0.3, 0.3)) + aside
                _car(mesh, rng, x, y, street.heading + (0 if side > 0 else 180) + rng.normal(0, 1), parts, lit=False)


def _drive(plan: Plan, street: Street, mesh: Mesh, rng: np.random.Generator, parts: Parts, busy: float) -> None:
    """Add oncoming cars; the camera car drives in the lane on the right."""
    for _ in range(rng.poisson(busy * street.length / 60)):
        spot = rng.uniform(3, street.length - 3)
        if on_crossing(plan, street, spot, 3.0):
            continue
        x, y = street.start + street.along * spot - street.right * min(1.6, street.kerb / 2)
        _car(mesh, rng, x, y, street.heading + 180, parts, lit=True)


def _car(mesh: Mesh, rng: np.random.Generator, x: float, y: float, heading: float, parts: Parts, lit: bool) -> None:
    glass, tyre, front, rear = parts
    paint = mesh.add_material(colour=CAR_COLOURS[rng.integers(len(CAR_COLOURS))])
    long, wide, high = rng.uniform(3.8, 4.7), rng.uniform(1.66, 1.84), rng.uniform(1.38, 1.75)
    across, along = axes(heading)
    centre = np.array([x, y, 0.0])
    mesh.box(centre + [0, 0, 0.32], (wide, long, 0.52), heading, paint)
    shift = along * rng.uniform(-0.35, 0.1)
    back, fore = long * rng.uniform(0.3, 0.44), long * rng.uniform(0.18, 0.26)  # of the cabin, from the car's middle
    low = [
        centre + shift + a * across * wide * 0.48 + along * b + [0, 0, 0.84]
        for a, b in ((-1, -back), (1, -back), (1, fore), (-1, fore))
    ]
    tops = [
        centre + shift + a * across * wide * 0.40 + along * b + [0, 0, high]
        for a, b in ((-1, -back * 0.72), (1, -back * 0.72), (1, fore * 0.3), (-1, fore * 0.3))
    ]
    for i in range(4):
        j = (i + 1) % 4
        mesh.triangles(np.array([[low[i], low[j], tops[j]], [low[i], tops[j], tops[i]]]), glass)
    mesh.triangles(np.array([[tops[0], tops[1], tops[2]], [tops[0], tops[2], tops[3]]]), paint)
    for a in (-1, 1):
        for b in (-0.31, 0.31):
            hub = centre + across * a * wide * 0.46 + along * b * long + [0, 0, 0.32]
            mesh.tube(hub - across * 0.1, hub + across * 0.1, 0.32, tyre, sides=8)
        if lit:
            for end, lamp in ((1, front), (-1, rear)):
                spot = centre + along * end * (long / 2 + 0.01) + across * (a * wide * 0.36 - 0.15) + [0, 0, 0.55]
                mesh.quad(spot, across * 0.3, [0, 0, 0.16], lamp)


def _person(mesh: Mesh, rng: np.random.Generator, x: float, y: float, heading: float) -> None:
    coat, legs = (CLOTHES_COLOURS[rng.integers(len(CLOTHES_COLOURS))] for _ in range(2))
    skin = (206, 164, 136) if rng.random() < 0.6 else (122, 84, 62)
    cloth, trousers, head = (mesh.add_material(colour=c) for c in (coat, legs, skin))
    tall = rng.uniform(0.9, 1.08)
    across, along = axes(heading)
    foot = np.array([x, y, 0.0])
    stride = rng.uniform(0.05, 0.3)
    hip, neck = foot + [0, 0, 0.86 * tall], foot + [0, 0, 1.45 * tall]
    for s in (-1, 1):
        mesh.tube(foot + across * s * 0.1 + along * s * stride, hip + across * s * 0.09, 0.07, trousers, tip=0.1)
        mesh.tube(neck + across * s * 0.2, hip + across * s * 0.27 - along * s * stride * 0.7, 0.06, cloth, tip=0.05)
    mesh.tube(hip, neck, 0.17, cloth, tip=0.2, sides=7)
    mesh.tube(neck, neck + [0, 0, 0.1 * tall], 0.2, cloth, tip=0.07, sides=7)
    mesh.tube(neck + [0, 0, 0.08 * tall], neck + [0, 0, 0.2 * tall], 0.08, head, tip=0.11, sides=7)
    mesh.tube(neck + [0, 0, 0.2 * tall], neck + [0, 0, 0.32 * tall], 0.11, head, tip=0.06, sides=7)


def _scaffold(mesh: Mesh, rng: np.random.Generator, lot: Lot) -> None:
    steel, board = mesh.add_material(colour=(150, 150, 146)), mesh.add_material(colour=(170, 136, 88))
    right, out, corner = (np.array([*v, 0.0]) for v in (lot.right, -lot.back, lot.corner))
    netted = mesh.add_material(colour=(80, 130, 90)) if rng.random() < 0.5 else None
    for z in np.arange(2.0, lot.height, 2.0):
        mesh.quad(corner + out * 0.15 + [0, 0, z], right * lot.width, out * 0.9, board)
        rail = corner + out * 1.1
        mesh.tube(rail + [0, 0, z + 0.9], rail + right * lot.width + [0, 0, z + 0.9], 0.03, steel, sides=4)
        if netted is not None and rng.random() < 0.75:
            mesh.quad(corner + out * 1.15 + [0, 0, z + 0.1], right * lot.width, [0, 0, 1.8], netted)
    for s in np.arange(0, lot.width + 0.1, 2.4):
        for reach in (0.15, 1.1):
            foot = corner + right * s + out * reach
            mesh.tube(foot, foot + [0, 0, lot.height + 0.6], 0.035, steel, sides=4)


def _hoarding(mesh: Mesh, textures: Textures, rng: np.random.Generator, lot: Lot) -> None:
    """Add a fence of boards with posters in front of the ground floor."""
    board = textures.add(posters(rng, lot.width, 2.4, SIGNS[rng.integers(len(SIGNS))]))
    material = mesh.add_material(texture=board, size=(lot.width, 2.4))
    right, out, corner = (np.array([*v, 0.0]) for v in (lot.right, -lot.back, lot.corner))
    mesh.quad(corner + out * 1.4, right * lot.width, [0, 0, 2.4], material)
