"""A part of the photos that is held out of training, to choose the best epoch on where no other places are given.

It is one end of the area, so that it shows other places than the rest: photos drawn at random would show the same ones.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from netvlad.errors import PlacesError
from netvlad.places import Places
from netvlad.training.config import Config
from netvlad.training.validation import Validation
from netvlad.types import Array, BoolArray

SHARE = 0.2  # of the queries
LEAST = 20  # queries to validate on; fewer say nothing

Tables = tuple[Places, Places]  # a database and its queries


class HeldOut(NamedTuple):
    """The tables to train on, those that are held out (None: too few), and a sentence on how they were divided."""

    training: Tables
    validation: Tables | None
    how: str


def hold_out_end(database: Places, queries: Places, config: Config) -> HeldOut:
    """Hold out the photos at one end of the area, about a fifth of the queries; the same tables give the same end.

    The end lies beyond a line across the longest axis of the queries' positions. Photos within the radius of validation
    of that line are left out of both parts. Photos without a position are divided by their labels. Nothing is held out
    where fewer than 20 queries of the end can be validated, or fewer than twice as many are left.
    """
    axis = _axis(queries)
    places = queries.xyz[queries.located] @ axis
    cut = float(np.quantile(places, 1 - SHARE)) if len(places) else 0.0
    held = _parts(database, queries, [_beyond(table, axis, cut) for table in (database, queries)])
    border = cut - config.validation_radius
    rest = _parts(database, queries, [~_beyond(table, axis, border) for table in (database, queries)])
    number = _validated(held, config)
    if number < LEAST or len(rest[1]) < 2 * LEAST:
        how = (
            f"no part is held out: at one end of the area {number} photos could be asked for, and {LEAST} are wanted; "
            "nothing will tell whether the trained model is better, so validate on other places (--validate)"
        )
        return HeldOut((database, queries), None, how)
    how = (
        f"{len(held[1])} of {len(queries)} photos at one end of the area are held out to choose the best epoch on, "
        f"{len(queries) - len(held[1]) - len(rest[1])} next to them are left out (--validate takes other places)"
    )
    return HeldOut(rest, held, how)


def _axis(places: Places) -> Array:
    """Unit vector (3,) of the longest axis of the positions."""
    xyz = places.xyz[places.located]
    if not len(xyz):
        return np.zeros(3)
    xyz = xyz - xyz.mean(axis=0)
    axis = np.linalg.eigh(xyz.T @ xyz)[1][:, -1]
    return np.asarray(axis * np.sign(axis[np.argmax(np.abs(axis))]))  # of two directions always the same


def _beyond(places: Places, axis: Array, cut: float) -> BoolArray:
    """Whether each photo (N,) lies beyond `cut` metres along the axis, or has a label that is held out."""
    labels = np.array([_is_held(label) for label in places.place], bool)
    return np.where(places.located, np.nan_to_num(places.xyz) @ axis > cut, labels)


def _is_held(label: str) -> bool:
    """Whether photos that have a label and no position are held out: the same in every run and every table."""
    digest = hashlib.blake2b(label.encode(errors="surrogateescape"), digest_size=4).digest()
    return int.from_bytes(digest, "little") < SHARE * 2**32


def _parts(database: Places, queries: Places, rows: list[BoolArray]) -> Tables:
    """Rows of both tables; one table that is both stays one."""
    part = database[rows[0]]
    return part, part if queries is database else queries[rows[1]]


def _validated(held: Tables, config: Config) -> int:
    """How many queries of the held-out part can be validated."""
    try:
        return len(
            Validation(*held, radius=config.validation_radius, limit=LEAST, other_dates=config.other_dates).chosen
        )
    except PlacesError:
        return 0
