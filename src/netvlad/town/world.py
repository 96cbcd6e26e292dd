"""A neighbourhood: what stands there, and its scene at one moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.places.projection import to_utm
from netvlad.town.furniture import grow_leaves, place_furniture, place_lamps, plant_trees
from netvlad.town.ground import paint_ground
from netvlad.town.houses import SPILL, build_houses
from netvlad.town.light import Moment, draw_skyline
from netvlad.town.mesh import GROUND, Mesh, Textures
from netvlad.town.plan import Plan, draw_plan
from netvlad.town.render import Lights, Scene
from netvlad.town.transient_objects import add_transient_objects
from netvlad.types import Array

LAT, LON = 43.5, 33.0  # in the Black Sea, on the central meridian of its UTM zone, where grid north is north
EPSG = 32636
APART = 700.0  # metres from one neighbourhood to the next


@dataclass(frozen=True)
class Neighbourhood:
    """A neighbourhood, which (seed, number) determine.

    turn: degrees clockwise by which its streets are turned from north. tips: where leaves grow, (n, 3).
    """

    seed: int
    number: int
    plan: Plan
    turn: float
    mesh: Mesh
    textures: Textures
    lights: Lights
    tips: Array
    skyline: Array

    @classmethod
    def draw(cls, seed: int, number: int, streets: tuple[int, int], bare: bool = False) -> Neighbourhood:
        """Draw a neighbourhood of (across, along) streets. bare: only its plan, without triangles."""
        plan = draw_plan(np.random.default_rng([seed, number, 0]), *streets)
        turn = float(np.random.default_rng([seed, number, 7]).uniform(0, 90))
        mesh, textures = Mesh(), Textures()
        if bare:
            nothing = np.zeros((0, 3))
            return cls(seed, number, plan, turn, mesh, textures, Lights(nothing, nothing), nothing, np.zeros(1))
        rng = np.random.default_rng([seed, number, 8])
        size = plan.high - plan.low
        ground = mesh.add_material(texture=textures.add(paint_ground(plan, rng)), kind=GROUND, size=tuple(size))
        mesh.quad([*plan.low, 0], [size[0], 0, 0], [0, size[1], 0], ground)
        _add_fields(mesh, plan)
        lamps = place_lamps(plan, mesh)
        tips = plant_trees(plan, mesh, rng)
        place_furniture(plan, mesh, textures, rng)
        shops = np.array([(x, y, SPILL) for x, y in build_houses(plan, mesh, textures)]).reshape(-1, 3)
        skyline = draw_skyline(np.random.default_rng([seed, 999]))  # one town, one skyline
        return cls(seed, number, plan, turn, mesh, textures, Lights(lamps, shops), tips, skyline)

    @property
    def origin(self) -> Array:
        """Easting and northing (UTM zone of EPSG) of the plan's middle."""
        east, north, _ = to_utm(np.array([LAT]), np.array([LON]))
        row, column = divmod(self.number, 8)
        return np.array([east[0] + APART * column, north[0] + APART * row])

    @property
    def middle(self) -> Array:
        """Middle (x, y) of the plan."""
        return np.asarray((self.plan.low + self.plan.high) / 2)

    def to_world(self, points: Array) -> Array:
        """Convert points (..., 2 or 3) of the plan to (east, north[, up]) in metres from `origin`."""
        h = np.radians(self.turn)
        x, y = points[..., 0] - self.middle[0], points[..., 1] - self.middle[1]
        east, north = x * np.cos(h) + y * np.sin(h), -x * np.sin(h) + y * np.cos(h)
        return np.stack([east, north, *np.moveaxis(points[..., 2:], -1, 0)], axis=-1)

    def scene(self, moment: Moment) -> Scene:
        """Build the scene of one moment, with the leaves of the season and the transient objects of the day."""
        mesh, textures = self.mesh.copy(), self.textures.copy()
        rng = np.random.default_rng([self.seed, self.number, 1, moment.seed])
        if moment.weather != "snow":
            grow_leaves(self.tips, moment.season, mesh, rng)
        add_transient_objects(self.plan, mesh, textures, rng, busy=0.4 if moment.lamps_on else 0.9)
        textures.freeze()
        mesh.corners = [self.to_world(np.concatenate(mesh.corners)).astype(np.float32)]
        lights = Lights(self.to_world(self.lights.lamps), self.to_world(self.lights.shops))
        return Scene(mesh, textures, lights, moment, self.skyline)


def _add_fields(mesh: Mesh, plan: Plan) -> None:
    """Add fields around the painted ground, so that no street ends in the sky."""
    field = mesh.add_material(colour=(104, 108, 82), kind=GROUND)
    (x0, y0), (x1, y1) = plan.low, plan.high
    wide = 600.0
    for at, right, up in (
        ((x0 - wide, y0 - wide), x1 - x0 + 2 * wide, wide),
        ((x0 - wide, y1), x1 - x0 + 2 * wide, wide),
        ((x0 - wide, y0), wide, y1 - y0),
        ((x1, y0), wide, y1 - y0),
    ):
        mesh.quad([*at, -0.01], [right, 0, 0], [0, up, 0], field)
