"""Places: where photos were taken, read from whatever a person has, and the geometry between them."""

from typing import Any

from netvlad.places.io.parts import Parts
from netvlad.places.io.readers import open_places, read_places
from netvlad.places.io.writers import write_places
from netvlad.places.neighbours import Neighbours, PlaceTree, distance, is_within, radius_neighbors
from netvlad.places.projection import from_utm, to_utm
from netvlad.places.splits import HoldOut, hold_out, sessions
from netvlad.places.table import Places, Skipped
from netvlad.places.visits import dates, group_places, visits

__all__ = [
    "HoldOut",
    "Neighbours",
    "Parts",
    "PlaceTree",
    "Places",
    "Skipped",
    "dates",
    "distance",
    "from_utm",
    "group_places",
    "hold_out",
    "is_within",
    "open_places",
    "radius_neighbors",
    "read_places",
    "sessions",
    "to_utm",
    "visits",
    "write_places",
]


def __getattr__(name: str) -> Any:
    from netvlad._moved import moved_name

    return moved_name("places", name)
