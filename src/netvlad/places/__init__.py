"""Places: where photos were taken, read from whatever a person has, and the geometry between them."""

from netvlad.places.geometry import Neighbours, PlaceTree, distance, from_utm, is_within, to_utm, within
from netvlad.places.io.readers import read_places
from netvlad.places.splits import HoldOut, hold_out, sessions
from netvlad.places.table import Places, Skipped
from netvlad.places.visits import dates, group_places, visits

__all__ = [
    "HoldOut",
    "Neighbours",
    "PlaceTree",
    "Places",
    "Skipped",
    "dates",
    "distance",
    "from_utm",
    "group_places",
    "hold_out",
    "is_within",
    "read_places",
    "sessions",
    "to_utm",
    "visits",
    "within",
]
