"""Ray tracing: what rays through the town hit, and the light that comes back along them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from netvlad.errors import NetvladError
from netvlad.town.light import LAMP_COLOUR, SHOP_COLOUR, Moment
from netvlad.town.mesh import GROUND, LEAF, Mesh, Textures
from netvlad.types import Array, BoolArray, FloatArray

FAR = 655.0  # metres: everything beyond is sky; a depth map of 16 bits in centimetres ends here too
MAX_RADIANCE = 4.0  # light is clipped to this before rays are averaged: brighter objects would have jagged edges
LAMP_RANGE = 26.0  # metres that a lamp lights


def embree() -> tuple[Any, Any]:
    """Return embreex's scene and triangle mesh classes. Raises NetvladError if it is not installed."""
    try:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
    except ImportError as e:
        raise NetvladError(f"building a town needs embreex ({e}): pip install 'netvlad[town]'") from e
    return rtcore_scene.EmbreeScene, TriangleMesh


@dataclass
class Lights:
    """Positions of street lamps (n, 3) and of the lights of shops (m, 3)."""

    lamps: Array
    shops: Array


class Scene:
    """One neighbourhood at one moment, ready to be rendered. Coordinates in metres: east, north, up."""

    def __init__(self, mesh: Mesh, textures: Textures, lights: Lights, moment: Moment, skyline: Array) -> None:
        make_scene, add_triangles = embree()
        self.corners = np.concatenate(mesh.corners)
        self.uv = np.concatenate(mesh.uv)
        self.material = np.concatenate(mesh.material)
        edge1, edge2 = self.corners[:, 1] - self.corners[:, 0], self.corners[:, 2] - self.corners[:, 0]
        normal = np.cross(edge1, edge2)
        self.normal = normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)
        table: FloatArray = np.array(mesh.materials, np.float32)
        self.colour, self.emission, self.size = table[:, :3], table[:, 5], table[:, 6:8]
        self.texture, self.kind = table[:, 3].astype(np.int64), table[:, 4].astype(np.int64)
        self.textures, self.moment, self.skyline = textures, moment, skyline
        self._scene = make_scene()
        self._triangles = add_triangles(self._scene, self.corners)
        spots = np.concatenate([lights.lamps, lights.shops]) if moment.lamps_on else np.zeros((0, 3))
        self._light = np.concatenate(
            [np.tile(LAMP_COLOUR * 9.0, (len(lights.lamps), 1)), np.tile(SHOP_COLOUR * 2.0, (len(lights.shops), 1))]
        )
        self._spots: FloatArray = spots.astype(np.float32)
        self._tree: Any = cKDTree(spots) if len(spots) else None  # SciPy ships no types

    def intersect(self, origins: Array, directions: Array) -> tuple[Array, FloatArray, FloatArray]:
        """Return the triangle that each ray hits first (-1: none), its distance, and barycentric coordinates (n, 2)."""
        found = self._scene.run(origins, directions, query="INTERSECT", output=True)
        triangle, distance = found["primID"], found["tfar"]
        triangle = np.where(distance < FAR, triangle, -1)
        return triangle, distance, np.stack([found["u"], found["v"]], 1)

    def radiance(self, origin: Array, directions: Array, pixel_angle: float) -> tuple[FloatArray, FloatArray, Array]:
        """Return light (n, 3), distance (n,), inf for the sky, and material (n,), -1 for the sky, along rays.

        origin: (3,), of all rays. pixel_angle: radians between neighbouring rays.
        """
        directions = np.ascontiguousarray(directions, np.float32)
        origins = np.broadcast_to(np.asarray(origin, np.float32), directions.shape)
        triangle, distance, barycentric = self.intersect(np.ascontiguousarray(origins), directions)
        hit = triangle >= 0
        light = np.empty((len(directions), 3), np.float32)
        light[~hit] = self.moment.sky(directions[~hit], self.skyline)
        light[hit] = self._shade(triangle[hit], distance[hit], barycentric[hit], origin, directions[hit], pixel_angle)
        material = np.where(hit, self.material[triangle], -1)
        return light, np.where(hit, distance, np.inf).astype(np.float32), material

    def render(self, origin: Array, rays: Array, pixel_angle: float) -> tuple[FloatArray, FloatArray]:
        """Return light (H, W, 3) and distance (H, W) along the rays (H, W, 3) of a panorama, with antialiased edges.

        A pixel whose neighbours see another material, or something much farther away, is the mean of five rays.
        """
        height, width = rays.shape[:2]
        light, distance, material = self.radiance(origin, rays.reshape(-1, 3), pixel_angle)
        edge = np.flatnonzero(_edges(material.reshape(height, width), distance.reshape(height, width)))
        right = np.roll(rays, -1, axis=1) - rays
        down = np.roll(rays, -1, axis=0) - rays
        down[-1] = down[-2]
        right, down, centre = (v.reshape(-1, 3)[edge] for v in (right, down, rays))
        total = np.minimum(light[edge], MAX_RADIANCE)
        for a, b in ((-0.3, -0.1), (0.1, -0.3), (0.3, 0.1), (-0.1, 0.3)):
            aside = centre + a * right + b * down
            aside /= np.linalg.norm(aside, axis=1, keepdims=True)
            total += np.minimum(self.radiance(origin, aside, pixel_angle)[0], MAX_RADIANCE)
        light[edge] = total / 5
        return light.reshape(height, width, 3), distance.reshape(height, width)

    def _shade(
        self, triangle: Array, distance: Array, barycentric: Array, origin: Array, directions: Array, pixel_angle: float
    ) -> Array:
        """Light (n, 3) that comes from points on triangles, through haze."""
        material = self.material[triangle]
        kind = self.kind[material]
        points = (np.asarray(origin, np.float32) + directions * distance[:, None]).astype(np.float32)
        normal = self.normal[triangle]
        facing = -np.einsum("ij,ij->i", normal, directions)
        normal = np.where(facing[:, None] < 0, -normal, normal)
        albedo, code = self._albedo(material, triangle, barycentric, distance, np.abs(facing), pixel_angle)
        albedo = self._weathered(albedo, normal, kind, points)
        light = self._irradiance(points, normal, kind) * albedo
        light += self._reflected(code, normal, directions, facing)
        light += self._emitted(material, code, albedo)
        keep = np.exp(-distance / self.moment.haze)[:, None]
        level = directions * np.array([1, 1, 0.2], np.float32) + np.array([0, 0, 0.04], np.float32)
        haze = self.moment.sky(level / np.linalg.norm(level, axis=1, keepdims=True))
        return np.asarray(light * keep + haze * (1 - keep))

    def _albedo(
        self, material: Array, triangle: Array, barycentric: Array, distance: Array, facing: Array, pixel_angle: float
    ) -> tuple[Array, Array]:
        """Colours (n, 3) and texture codes (n,) of points on triangles."""
        albedo, code = self.colour[material].copy(), np.zeros(len(material), np.uint8)
        painted = np.flatnonzero(self.texture[material] >= 0)
        if len(painted):
            s, t, b = material[painted], self.uv[triangle[painted]], barycentric[painted]
            uv = t[:, 0] + b[:, :1] * (t[:, 1] - t[:, 0]) + b[:, 1:] * (t[:, 2] - t[:, 0])
            texture = self.texture[s]
            fine = self.textures.shape[texture, 0, 1] / self.size[s, 0]  # pixels a metre
            metres = distance[painted] * pixel_angle / np.sqrt(np.maximum(facing[painted], 0.05))
            albedo[painted], code[painted] = self.textures.sample(texture, uv[:, 0], uv[:, 1], metres * fine)
        return albedo, code

    def _weathered(self, albedo: Array, normal: Array, kind: Array, points: Array) -> Array:
        """Albedo under rain, which darkens the ground, or snow, which lies on what faces up."""
        if self.moment.weather == "rain":
            albedo = albedo * np.where(kind == GROUND, 0.45, 0.8)[:, None].astype(np.float32)
        elif self.moment.weather == "snow":
            patch = np.sin(points[:, 0] * 1.3) * np.sin(points[:, 1] * 1.7 + 1) + 0.6 * np.sin(
                points[:, 0] * 0.31 + points[:, 1] * 0.47
            )
            share = np.clip((normal[:, 2] - 0.35) * 3, 0, 1) * np.clip(0.75 + 0.35 * patch, 0.15, 1)
            albedo = albedo + share[:, None].astype(np.float32) * (np.array([0.86, 0.88, 0.92], np.float32) - albedo)
        return albedo

    def _irradiance(self, points: Array, normal: Array, kind: Array) -> Array:
        """Light (n, 3) that falls on points: of the sky, the surroundings, the sun and lamps."""
        moment = self.moment
        up = (0.55 + 0.45 * normal[:, 2]).astype(np.float32)
        # in a street, the foot of a wall sees half of the sky, and higher points see more
        open_sky = np.clip(0.55 + points[:, 2] / 22, 0, 1).astype(np.float32)
        total = (moment.skylight * (up * open_sky)[:, None]).astype(np.float32)
        # light reflected by streets and walls
        total += (0.16 * moment.skylight + 0.22 * moment.sunlight * max(0.0, float(moment.sun[2]))) * np.float32(1.0)
        if moment.sunlight.max() > 0:
            cosine = np.clip(normal @ moment.sun.astype(np.float32), 0, None)
            cosine = np.where(kind == LEAF, 0.35 + 0.5 * cosine, cosine)  # leaves are translucent
            lit = np.flatnonzero(cosine > 0)
            to_sun = np.broadcast_to(moment.sun.astype(np.float32), (len(lit), 3))
            lit = lit[~self._occluded(points[lit] + normal[lit] * 0.02, to_sun)]
            total[lit] += moment.sunlight * cosine[lit, None] * 2.6
        return np.asarray(total + self._lamplight(points, normal, kind) if self._tree is not None else total)

    def _lamplight(self, points: Array, normal: Array, kind: Array) -> FloatArray:
        """Light (n, 3) of the four nearest lamps on points; the two nearest cast shadows."""
        total = np.zeros_like(points)
        near, which = self._tree.query(points, k=min(4, len(self._spots)), distance_upper_bound=LAMP_RANGE, workers=1)
        near, which = near.reshape(len(points), -1), which.reshape(len(points), -1)
        for i in range(near.shape[1]):
            rows = np.flatnonzero(np.isfinite(near[:, i]))
            away = self._spots[which[rows, i]] - points[rows]
            d = near[rows, i].astype(np.float32)[:, None]
            away = away / (d + 1e-6)
            cosine = np.clip(np.einsum("ij,ij->i", away, normal[rows]), 0, None)
            cosine = np.where(kind[rows] == LEAF, 0.4 + 0.3 * cosine, cosine)
            down = np.clip(0.25 + away[:, 2], 0.12, 1)  # the hood of a lamp keeps roofs dark
            strength = cosine * down * np.clip(1 - d[:, 0] / LAMP_RANGE, 0, 1) / (d[:, 0] ** 2 + 1.5)
            if i < 2:  # shadows of lamps farther away are hardly visible
                strong = np.flatnonzero(strength > 0.001)
                start = points[rows[strong]] + normal[rows[strong]] * 0.03
                shadow = self._occluded(start, away[strong], d[strong, 0] - 0.3)
                strength[strong[shadow]] = 0
            total[rows] += self._light[which[rows, i]] * strength[:, None]
        return np.asarray(total, np.float32)

    def _occluded(self, points: Array, directions: Array, reach: Array | None = None) -> BoolArray:
        """Whether rays hit anything within `reach` metres (n,), by default FAR."""
        if not len(points):
            return np.zeros(0, bool)
        reach = np.full(len(points), FAR, np.float32) if reach is None else np.maximum(reach, 0.05).astype(np.float32)
        points, directions = np.ascontiguousarray(points, np.float32), np.ascontiguousarray(directions, np.float32)
        return np.asarray(self._scene.run(points, directions, reach, query="OCCLUDED") == 0)

    def _reflected(self, code: Array, normal: Array, directions: Array, facing: Array) -> FloatArray:
        """Light (n, 3) of the sky mirrored in windows, more of it at grazing angles."""
        out: FloatArray = np.zeros((len(code), 3), np.float32)
        panes = np.flatnonzero((code > 0) & (code < 254))
        if len(panes):
            cosine = np.clip(np.abs(facing[panes]), 0, 1)[:, None]
            mirrored = directions[panes] + 2 * cosine * normal[panes]
            mirrored[:, 2] = np.abs(mirrored[:, 2]) + 0.05
            mirrored /= np.linalg.norm(mirrored, axis=1, keepdims=True)
            out[panes] = self.moment.sky(mirrored) * (0.07 + 0.6 * (1 - cosine) ** 3)
        return out

    def _emitted(self, material: Array, code: Array, albedo: Array) -> Array:
        """Light (n, 3) of lit windows, which differ from night to night, of signs and of lamps."""
        out = np.zeros_like(albedo)
        if not self.moment.lamps_on:
            return out
        window = np.flatnonzero((code > 0) & (code < 253))
        house, number = material[window].astype(np.int64), code[window].astype(np.int64)
        mixed = (house * 7919 + number * 104729 + self.moment.seed * 15485863) * 2654435761  # a hash
        draw = (mixed >> 7) % 1000
        lit = window[draw < 330]
        warm = ((mixed >> 19) % 100)[draw < 330, None] / 100
        tint = np.array([1.0, 0.62, 0.26], np.float32) * (1 - warm) + np.array([0.9, 0.92, 1.0], np.float32) * warm
        out[lit] = (0.12 + 0.9 * albedo[lit]) * tint * (0.35 + 0.6 * warm)
        shop = np.flatnonzero(code == 253)
        out[shop] = (0.10 + albedo[shop]) * SHOP_COLOUR * 0.75
        out[code == 254] = albedo[code == 254] * 0.85
        glowing = np.flatnonzero((self.emission[material] > 1) & (code == 0))
        out[glowing] = albedo[glowing] * self.emission[material[glowing], None]
        return out


def _edges(material: Array, distance: FloatArray) -> BoolArray:
    """Pixels (H, W) beside one that sees another material or much farther; a panorama wraps around horizontally."""
    near = np.where(np.isfinite(distance), distance, 1e4)
    out: BoolArray = np.zeros(material.shape, bool)
    for axis in (0, 1):
        other = (material != np.roll(material, 1, axis)) | (np.abs(near - np.roll(near, 1, axis)) > 0.15 * near + 0.2)
        if axis == 0:
            other[0] = False
        out |= other | np.roll(other, -1, axis)
    return out
