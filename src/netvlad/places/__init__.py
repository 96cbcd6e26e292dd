"""Places: where photos were taken, read from whatever a person has, and the geometry between them."""

from netvlad.places.geometry import Neighbours, PlaceTree, distance, from_utm, is_within, to_utm, within
from netvlad.places.holdout import HoldOut, hold_out, sessions
from netvlad.places.readers import read_places
from netvlad.places.table import Places, Skipped

__all__ = [
    "HoldOut",
    "Neighbours",
    "PlaceTree",
    "Places",
    "Skipped",
    "distance",
    "from_utm",
    "hold_out",
    "is_within",
    "read_places",
    "sessions",
    "to_utm",
    "within",
]
