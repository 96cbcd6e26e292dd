"""Rays through the town: what each of them sees, and in what light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netvlad.errors import NetvladError
from netvlad.town.light import LAMP, SHOP, Moment
from netvlad.town.mesh import GROUND, LEAF, Mesh, Textures

FAR = 655.0  # metres: beyond it everything is sky, and a depth map of 16 bits in centimetres is full
BRIGHT = 4.0  # where light is cut before rays are averaged: brighter things would leave steps on their edges
REACH = 26.0  # metres that the light of a lamp is followed


def embree():
    """The ray tracer, or an error that says how to get it."""
    try:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
    except ImportError as e:
        raise NetvladError(f"building a town needs embreex ({e}): pip install 'netvlad[town]'") from e
    return rtcore_scene.EmbreeScene, TriangleMesh


@dataclass
class Lights:
    """Lamps (n, 3) and where lit shops are (m, 3)."""

    lamps: np.ndarray
    shops: np.ndarray


class Scene:
    """One neighbourhood at one moment, ready to be looked at. Coordinates in metres: east, north, up."""

    def __init__(self, mesh: Mesh, textures: Textures, lights: Lights, moment: Moment, skyline: np.ndarray):
        from scipy.spatial import cKDTree

        make_scene, add_triangles = embree()
        self.corners = np.concatenate(mesh.corners)
        self.uv = np.concatenate(mesh.uv)
        self.surface = np.concatenate(mesh.surface)
        edge1, edge2 = self.corners[:, 1] - self.corners[:, 0], self.corners[:, 2] - self.corners[:, 0]
        normal = np.cross(edge1, edge2)
        self.normal = normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)
        table = np.array(mesh.kinds, np.float32)
        self.colour, self.glow, self.size = table[:, :3], table[:, 5], table[:, 6:8]
        self.texture, self.kind = table[:, 3].astype(np.int64), table[:, 4].astype(np.int64)
        self.textures, self.moment, self.skyline = textures, moment, skyline
        self._scene = make_scene()
        self._triangles = add_triangles(self._scene, self.corners)
        spots = np.concatenate([lights.lamps, lights.shops]) if moment.lamps_on else np.zeros((0, 3))
        self._light = np.concatenate(
            [np.tile(LAMP * 9.0, (len(lights.lamps), 1)), np.tile(SHOP * 2.0, (len(lights.shops), 1))]
        )
        self._spots = spots.astype(np.float32)
        self._tree = cKDTree(spots) if len(spots) else None

    def trace(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of each ray the triangle it meets (-1 none), the distance, and where on it, (n, 2) barycentric."""
        found = self._scene.run(origins, directions, query="INTERSECT", output=True)
        triangle, distance = found["primID"], found["tfar"]
        triangle = np.where(distance < FAR, triangle, -1)
        return triangle, distance, np.stack([found["u"], found["v"]], 1)

    def look(
        self, origin: np.ndarray, directions: np.ndarray, spread: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Light (n, 3) and distance (n,), inf for the sky, along rays from one point; and what they met (surface, -1).

        spread: the angle in radians that one ray stands for.
        """
        directions = np.ascontiguousarray(directions, np.float32)
        origins = np.broadcast_to(np.asarray(origin, np.float32), directions.shape)
        triangle, distance, bary = self.trace(np.ascontiguousarray(origins), directions)
        hit = triangle >= 0
        light = np.empty((len(directions), 3), np.float32)
        light[~hit] = self.moment.sky(directions[~hit], self.skyline)
        light[hit] = self._shade(triangle[hit], distance[hit], bary[hit], origin, directions[hit], spread)
        surface = np.where(hit, self.surface[triangle], -1)
        return light, np.where(hit, distance, np.inf).astype(np.float32), surface

    def picture(self, origin: np.ndarray, rays: np.ndarray, spread: float) -> tuple[np.ndarray, np.ndarray]:
        """Light (H, W, 3) and distance (H, W) along the rays (H, W, 3) of a panorama, its edges smoothed.

        Pixels whose neighbours see something else, or something much farther away, are the mean of five rays.
        """
        height, width = rays.shape[:2]
        light, distance, surface = self.look(origin, rays.reshape(-1, 3), spread)
        edge = np.flatnonzero(_edges(surface.reshape(height, width), distance.reshape(height, width)))
        right = np.roll(rays, -1, axis=1) - rays
        down = np.roll(rays, -1, axis=0) - rays
        down[-1] = down[-2]
        right, down, centre = (v.reshape(-1, 3)[edge] for v in (right, down, rays))
        total = np.minimum(light[edge], BRIGHT)
        for a, b in ((-0.3, -0.1), (0.1, -0.3), (0.3, 0.1), (-0.1, 0.3)):
            aside = centre + a * right + b * down
            aside /= np.linalg.norm(aside, axis=1, keepdims=True)
            total += np.minimum(self.look(origin, aside, spread)[0], BRIGHT)
        light[edge] = total / 5
        return light.reshape(height, width, 3), distance.reshape(height, width)

    def _shade(self, triangle, distance, bary, origin, directions, spread) -> np.ndarray:
        surface = self.surface[triangle]
        kind = self.kind[surface]
        points = (np.asarray(origin, np.float32) + directions * distance[:, None]).astype(np.float32)
        normal = self.normal[triangle]
        facing = -np.einsum("ij,ij->i", normal, directions)
        normal = np.where(facing[:, None] < 0, -normal, normal)
        albedo, code = self._albedo(surface, triangle, bary, distance, np.abs(facing), spread)
        albedo = self._weathered(albedo, normal, kind, points)
        light = self._irradiance(points, normal, kind) * albedo
        light += self._glass(code, normal, directions, facing)
        light += self._own_light(surface, code, albedo)
        keep = np.exp(-distance / self.moment.haze)[:, None]
        level = directions * np.array([1, 1, 0.2], np.float32) + np.array([0, 0, 0.04], np.float32)
        return light * keep + self.moment.sky(level / np.linalg.norm(level, axis=1, keepdims=True)) * (1 - keep)

    def _albedo(self, surface, triangle, bary, distance, facing, spread):
        albedo, code = self.colour[surface].copy(), np.zeros(len(surface), np.uint8)
        painted = np.flatnonzero(self.texture[surface] >= 0)
        if len(painted):
            s, t, b = surface[painted], self.uv[triangle[painted]], bary[painted]
            uv = t[:, 0] + b[:, :1] * (t[:, 1] - t[:, 0]) + b[:, 1:] * (t[:, 2] - t[:, 0])
            texture = self.texture[s]
            fine = self.textures.shape[texture, 0, 1] / self.size[s, 0]  # pixels a metre
            metres = distance[painted] * spread / np.sqrt(np.maximum(facing[painted], 0.05))
            albedo[painted], code[painted] = self.textures.look_up(texture, uv[:, 0], uv[:, 1], metres * fine)
        return albedo, code

    def _weathered(self, albedo, normal, kind, points) -> np.ndarray:
        if self.moment.weather == "rain":
            albedo = albedo * np.where(kind == GROUND, 0.45, 0.8)[:, None].astype(np.float32)
        elif self.moment.weather == "snow":
            patch = np.sin(points[:, 0] * 1.3) * np.sin(points[:, 1] * 1.7 + 1) + 0.6 * np.sin(
                points[:, 0] * 0.31 + points[:, 1] * 0.47
            )
            share = np.clip((normal[:, 2] - 0.35) * 3, 0, 1) * np.clip(0.75 + 0.35 * patch, 0.15, 1)
            albedo = albedo + share[:, None].astype(np.float32) * (np.array([0.86, 0.88, 0.92], np.float32) - albedo)
        return albedo

    def _irradiance(self, points, normal, kind) -> np.ndarray:
        moment = self.moment
        up = (0.55 + 0.45 * normal[:, 2]).astype(np.float32)
        # in a street a wall sees half the sky at its foot and more the higher it is
        open_sky = np.clip(0.55 + points[:, 2] / 22, 0, 1).astype(np.float32)
        total = (moment.skylight * (up * open_sky)[:, None]).astype(np.float32)
        # light that streets and walls throw back
        total += (0.16 * moment.skylight + 0.22 * moment.sunlight * max(0.0, float(moment.sun[2]))) * np.float32(1.0)
        if moment.sunlight.max() > 0:
            cosine = np.clip(normal @ moment.sun.astype(np.float32), 0, None)
            cosine = np.where(kind == LEAF, 0.35 + 0.5 * cosine, cosine)  # leaves let light through
            lit = np.flatnonzero(cosine > 0)
            lit = lit[
                ~self._blocked(
                    points[lit] + normal[lit] * 0.02, np.broadcast_to(moment.sun.astype(np.float32), (len(lit), 3))
                )
            ]
            total[lit] += moment.sunlight * cosine[lit, None] * 2.6
        return total + self._lamplight(points, normal, kind) if self._tree is not None else total

    def _lamplight(self, points, normal, kind) -> np.ndarray:
        total = np.zeros_like(points)
        near, which = self._tree.query(points, k=min(4, len(self._spots)), distance_upper_bound=REACH, workers=1)
        near, which = near.reshape(len(points), -1), which.reshape(len(points), -1)
        for i in range(near.shape[1]):
            rows = np.flatnonzero(np.isfinite(near[:, i]))
            away = self._spots[which[rows, i]] - points[rows]
            d = near[rows, i].astype(np.float32)[:, None]
            away = away / (d + 1e-6)
            cosine = np.clip(np.einsum("ij,ij->i", away, normal[rows]), 0, None)
            cosine = np.where(kind[rows] == LEAF, 0.4 + 0.3 * cosine, cosine)
            down = np.clip(0.25 + away[:, 2], 0.12, 1)  # a lamp's hood keeps its light off the roofs
            strength = cosine * down * np.clip(1 - d[:, 0] / REACH, 0, 1) / (d[:, 0] ** 2 + 1.5)
            if i < 2:  # the shadows that are seen are those of the nearest lamps
                strong = np.flatnonzero(strength > 0.001)
                shadow = self._blocked(
                    points[rows[strong]] + normal[rows[strong]] * 0.03, away[strong], d[strong, 0] - 0.3
                )
                strength[strong[shadow]] = 0
            total[rows] += self._light[which[rows, i]] * strength[:, None]
        return total.astype(np.float32)

    def _blocked(self, points, directions, reach=None) -> np.ndarray:
        """Whether something stands between points and a light (n,)."""
        if not len(points):
            return np.zeros(0, bool)
        reach = np.full(len(points), FAR, np.float32) if reach is None else np.maximum(reach, 0.05).astype(np.float32)
        points, directions = np.ascontiguousarray(points, np.float32), np.ascontiguousarray(directions, np.float32)
        return self._scene.run(points, directions, reach, query="OCCLUDED") == 0

    def _glass(self, code, normal, directions, facing) -> np.ndarray:
        """The sky in the windows: more of it the more they are seen at a slant."""
        out = np.zeros((len(code), 3), np.float32)
        panes = np.flatnonzero((code > 0) & (code < 254))
        if len(panes):
            cosine = np.clip(np.abs(facing[panes]), 0, 1)[:, None]
            mirrored = directions[panes] + 2 * cosine * normal[panes]
            mirrored[:, 2] = np.abs(mirrored[:, 2]) + 0.05
            mirrored /= np.linalg.norm(mirrored, axis=1, keepdims=True)
            out[panes] = self.moment.sky(mirrored) * (0.07 + 0.6 * (1 - cosine) ** 3)
        return out

    def _own_light(self, surface, code, albedo) -> np.ndarray:
        """Lit windows, others each night; signs; lamps."""
        out = np.zeros_like(albedo)
        if not self.moment.lamps_on:
            return out
        window = np.flatnonzero((code > 0) & (code < 253))
        mixed = (
            surface[window].astype(np.int64) * 7919
            + code[window].astype(np.int64) * 104729
            + self.moment.seed * 15485863
        ) * 2654435761
        draw = (mixed >> 7) % 1000
        lit = window[draw < 330]
        warm = ((mixed >> 19) % 100)[draw < 330, None] / 100
        tint = np.array([1.0, 0.62, 0.26], np.float32) * (1 - warm) + np.array([0.9, 0.92, 1.0], np.float32) * warm
        out[lit] = (0.12 + 0.9 * albedo[lit]) * tint * (0.35 + 0.6 * warm)
        shop = np.flatnonzero(code == 253)
        out[shop] = (0.10 + albedo[shop]) * SHOP * 0.75
        out[code == 254] = albedo[code == 254] * 0.85
        glowing = np.flatnonzero((self.glow[surface] > 1) & (code == 0))
        out[glowing] = albedo[glowing] * self.glow[surface[glowing], None]
        return out


def _edges(surface: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Where the next pixel sees another surface or much farther; left and right borders meet, top and bottom do not."""
    near = np.where(np.isfinite(distance), distance, 1e4)
    out = np.zeros(surface.shape, bool)
    for axis in (0, 1):
        other = (surface != np.roll(surface, 1, axis)) | (np.abs(near - np.roll(near, 1, axis)) > 0.15 * near + 0.2)
        if axis == 0:
            other[0] = False
        out |= other | np.roll(other, -1, axis)
    return out
