"""Houses: walls and roofs, and the balconies, awnings and signs that tell one from the next."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from netvlad.town.facades import COARSE, FINE, SIGN, facade
from netvlad.town.mesh import Mesh, Textures
from netvlad.town.paint import Painter, wall
from netvlad.town.plan import Lot, Plan
from netvlad.town.styles import NAMES, SIGNS, STOREY, STYLES, TRADES, Colour
from netvlad.types import Array

BlindWalls: TypeAlias = dict[tuple[int, int], int]  # (style, colour) -> texture

ROOFS = ((112, 58, 44), (74, 70, 70), (92, 82, 74), (58, 66, 78))
SPILL = 2.4  # metres above the pavement of the light of a shop


def build_houses(plan: Plan, mesh: Mesh, textures: Textures) -> list[tuple[float, float]]:
    """Build a house on every lot and return where the light of each shop is, (x, y)."""
    blind: BlindWalls = {}
    shops = []
    for lot in plan.lots:
        rng = np.random.default_rng(lot.seed)
        _walls(rng, lot, mesh, textures, blind)
        _roof(rng, lot, mesh)
        _details(rng, lot, mesh, textures)
        if lot.shop:
            x, y = lot.corner + lot.right * lot.width / 2 - lot.back * 1.2
            shops.append((x, y))
    return shops


def _walls(rng: np.random.Generator, lot: Lot, mesh: Mesh, textures: Textures, blind: BlindWalls) -> None:
    style = STYLES[lot.style]
    colour = style.walls[lot.colour]
    up = _at((0, 0), lot.height)
    front = textures.add(facade(rng, style, colour, lot.width, lot.storeys, lot.shop, FINE))
    right, back = _at(lot.right), _at(lot.back)
    corner = _at(lot.corner)
    mesh.quad(corner, right * lot.width, up, mesh.add_material(texture=front, size=(lot.width, lot.height)))
    sides = ((corner + back * lot.depth, -back, lot.corners[0]), (corner + right * lot.width, back, lot.corners[1]))
    for at, run, faces in sides:
        if faces:
            texture = textures.add(facade(rng, style, colour, lot.depth, lot.storeys, False, FINE))
            mesh.quad(at, run * lot.depth, up, mesh.add_material(texture=texture, size=(lot.depth, lot.height)))
        else:
            mesh.quad(at, run * lot.depth, up, _blind_wall(lot, mesh, textures, blind, lot.depth))
    rear = _blind_wall(lot, mesh, textures, blind, lot.width)
    mesh.quad(corner + right * lot.width + back * lot.depth, -right * lot.width, up, rear)


def _blind_wall(lot: Lot, mesh: Mesh, textures: Textures, blind: BlindWalls, width: float) -> int:
    """Material of a wall without windows; houses of one colour share the texture."""
    key = (lot.style, lot.colour)
    if key not in blind:
        colour = STYLES[lot.style].walls[lot.colour]
        blind[key] = textures.add(wall(np.random.default_rng(key), np.array(colour) * 0.9, 11, 14, COARSE, 0.25))
    return mesh.add_material(texture=blind[key], size=(width, lot.height))


def _roof(rng: np.random.Generator, lot: Lot, mesh: Mesh) -> None:
    right, back, z = _at(lot.right) * lot.width, _at(lot.back) * lot.depth, _at((0, 0), lot.height)
    corner = _at(lot.corner) + z
    tiles = mesh.add_material(colour=ROOFS[rng.integers(len(ROOFS))])
    style = STYLES[lot.style]
    gable = mesh.add_material(colour=np.array(style.walls[lot.colour]) * 0.92)
    if lot.gabled:
        rise = _at((0, 0), lot.depth * rng.uniform(0.32, 0.5))
        over = _at(lot.back) * 0.4
        ridge = back / 2 + rise
        mesh.quad(corner - over - rise * 0.08, right, ridge + over + rise * 0.08, tiles)
        mesh.quad(corner + right + back + over - rise * 0.08, -right, ridge - back - over + rise * 0.08, tiles)
        for a, b in ((corner, corner + back), (corner + right + back, corner + right)):
            mesh.triangles(np.array([[b, a, (a + b) / 2 + rise]]), gable)
        for _ in range(int(rng.integers(0, 3))):  # dormers
            spot = corner + right * rng.uniform(0.2, 0.8) + back * 0.28 + rise * 0.4
            _block(mesh, spot, (1.6, 2.0, 1.6), lot, gable, tiles)
        pot = mesh.add_material(colour=(118, 66, 54))
        _block(mesh, corner + right * rng.uniform(0.1, 0.9) + back * 0.55 + rise * 0.7, (0.8, 0.8, 1.9), lot, pot, pot)
        return
    mesh.quad(corner - z * 0.01, right, back, tiles)
    edge = mesh.add_material(colour=np.array(style.walls[lot.colour]) * 0.8)
    for at, run in ((corner, right), (corner + right, back), (corner + right + back, -right), (corner + back, -back)):
        mesh.quad(at, run, _at((0, 0), 0.5), edge)
    grey = mesh.add_material(colour=(150, 152, 150))
    for _ in range(int(rng.integers(1, 4))):  # stairheads, vents, tanks
        size = rng.uniform(0.8, 3.0, 3) * (1, 1, 0.9)
        _block(mesh, corner + right * rng.uniform(0.2, 0.8) + back * rng.uniform(0.25, 0.8), size, lot, grey, grey)
    if rng.random() < 0.4:
        foot = corner + right * rng.uniform(0.2, 0.8) + back * 0.4
        mesh.tube(foot, foot + _at((0, 0), rng.uniform(2.5, 5)), 0.06, grey)


def _details(rng: np.random.Generator, lot: Lot, mesh: Mesh, textures: Textures) -> None:
    style = STYLES[lot.style]
    right, out = _at(lot.right), -_at(lot.back)
    corner = _at(lot.corner)
    bays = max(1, round((lot.width - 0.6) / style.bay))
    step = lot.width / bays
    if rng.random() < 0.45:  # balconies in a pattern of this house
        slab, rail = mesh.add_material(colour=(180, 176, 168)), mesh.add_material(colour=DARK[rng.integers(len(DARK))])
        pattern = rng.random((8, bays)) < rng.choice([0.25, 0.5, 1.0])
        for floor in range(1, lot.storeys):
            for bay in np.flatnonzero(pattern[floor % 8]):
                middle = corner + right * (bay + 0.5) * step + _at((0, 0), floor * STOREY + 0.15)
                _balcony(mesh, middle, right, out, min(step * 0.8, 2.4), slab, rail)
    if lot.shop and rng.random() < 0.5:
        cloth = textures.add(_awning(rng))
        material = mesh.add_material(texture=cloth, size=(lot.width, 1.4))
        edge, run = corner + right * 0.3 + out * 1.3, right * (lot.width - 0.6)
        mesh.quad(edge + _at((0, 0), 2.35), run, -out * 1.28 + _at((0, 0), 0.6), material)
        mesh.quad(edge + _at((0, 0), 2.1), run, _at((0, 0), 0.25), material)
    if rng.random() < (0.55 if lot.shop else 0.12):  # a sign that projects over the pavement
        board = mesh.add_material(texture=textures.add(_sign(rng)), size=(0.9, 1.2), emission=1.0)
        at = corner + right * rng.uniform(0.5, max(0.6, lot.width - 0.5)) + out * 0.15
        at = at + _at((0, 0), rng.uniform(3.3, 4.6))
        mesh.quad(at, out * 0.9, _at((0, 0), 1.2), board)
        mesh.quad(at + out * 0.9 + right * 0.03, -out * 0.9, _at((0, 0), 1.2), board)
    if rng.random() < 0.35:  # a rain pipe
        pipe = mesh.add_material(colour=(86, 88, 84))
        foot = corner + right * 0.2 + out * 0.08
        mesh.tube(foot, foot + _at((0, 0), lot.height - 0.5), 0.06, pipe, sides=4)


DARK = ((34, 36, 38), (60, 70, 64), (120, 124, 126), (206, 204, 196), (40, 52, 80))


def _balcony(mesh: Mesh, middle: Array, right: Array, out: Array, width: float, slab: int, rail: int) -> None:
    left = middle - right * width / 2
    deep = out * 1.0
    mesh.quad(left, right * width, deep, slab)
    mesh.quad(left + deep + _at((0, 0), -0.16), right * width, _at((0, 0), 0.16), slab)
    for at, run in ((left + deep, right * width), (left, deep), (left + right * width, deep)):
        mesh.quad(at + _at((0, 0), 0.92), run, _at((0, 0), 0.08), rail)
        for x in np.arange(0.0, 1.001, 0.13 if np.linalg.norm(run) > 1.5 else 0.25):
            mesh.quad(at + run * min(x, 0.97), run * 0.03, _at((0, 0), 0.95), rail)


def _awning(rng: np.random.Generator) -> Array:
    colour, other = np.array(SIGNS[rng.integers(len(SIGNS))]), np.array((238, 234, 224))
    if rng.random() < 0.4:
        other = colour
    image = np.zeros((16, 128, 4), np.uint8)
    image[..., :3] = np.where((np.arange(128) // 8 % 2 == 0)[None, :, None], colour, other)
    return image


def _sign(rng: np.random.Generator) -> Array:
    paint = Painter(Image.new("RGB", (36, 48)), 40, SIGN)
    ground = SIGNS[rng.integers(len(SIGNS))]
    ink: Colour = (244, 240, 226) if sum(ground) < 420 else (26, 26, 30)
    paint.rect(0, 0, 0.9, 1.2, ground, SIGN)
    text = TRADES[rng.integers(len(TRADES))] if rng.random() < 0.7 else NAMES[rng.integers(len(NAMES))]
    paint.word(text[:5], 0.05, 0.7, 0.85, 1.1, ink, SIGN)
    shape = int(rng.integers(3))
    box = (8, 24, 28, 44)
    if shape == 0:
        paint.colours.ellipse(box, fill=ink)
    elif shape == 1:
        paint.colours.rectangle(box, fill=ink)
    else:
        paint.colours.polygon([(18, box[1]), (box[2], box[3]), (box[0], box[3])], fill=ink)
    return paint.texture()


def _block(mesh: Mesh, at: Array, size: ArrayLike, lot: Lot, side: int, top: int) -> None:
    """Add a box that is square to the house."""
    mesh.box(at, size, float(np.degrees(np.arctan2(lot.back[0], lot.back[1]))), side, top)


def _at(xy: Array | tuple[float, float], z: float = 0.0) -> Array:
    return np.array([xy[0], xy[1], z], float)
