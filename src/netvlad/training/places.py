"""Training from one table of places."""

from __future__ import annotations

import os

import numpy as np

from netvlad.describe.network import NetworkDescriber
from netvlad.errors import PlacesError
from netvlad.places import Places
from netvlad.places.splits import DATABASE, QUERY
from netvlad.training.config import Config
from netvlad.training.record import Record


def train_places(
    model: NetworkDescriber,
    places: Places,
    config: Config | None = None,
    validation: Places | None = None,
    *,
    run: str | os.PathLike | None = None,
    resume: bool = False,
    about: dict | None = None,
    workers: int | None = None,
) -> Record:
    """`train` from one table, and one to validate on, of both of which `sets` makes databases and queries."""
    from netvlad.training.trainer import train

    held = None if validation is None else sets(validation)
    return train(model, *sets(places), config, held, run=run, resume=resume, about=about, workers=workers)


def sets(places: Places) -> tuple[Places, Places]:
    """Database and queries of a table: as its split column says, else all photos are both.

    Raises PlacesError where the column names only one of the two, or the table has fewer than 2 photos.
    """
    if len(places) < 2:
        raise PlacesError(f"{len(places)} photos: there is nothing to compare; photos of several places are wanted")
    side = np.array([text.strip().lower() for text in places.split])
    database, queries = np.isin(side, DATABASE), np.isin(side, QUERY)
    if not database.any() and not queries.any():
        return places, places
    if not database.any() or not queries.any():
        named, other = ("database", "query") if database.any() else ("query", "database")
        raise PlacesError(
            f"the split column names {named} photos but none that is {other}: name both, or leave the column out"
        )
    return places[database], places[queries]
