"""Places: where photos were taken, read from whatever a person has, and the geometry between them."""

from netvlad.places.camera import Camera
from netvlad.places.cut_outs import LAYOUTS, Layout, write_cut_outs
from netvlad.places.geometry import Neighbours, PlaceTree, distance, from_utm, is_within, to_utm, within
from netvlad.places.holdout import HoldOut, hold_out, sessions
from netvlad.places.panorama import cut_out, cut_out_depth, depth_path, read_depth, read_panorama, write_depth
from netvlad.places.readers import read_places
from netvlad.places.table import Places, Skipped
from netvlad.places.visits import dates, group_places, visits

__all__ = [
    "LAYOUTS",
    "Camera",
    "HoldOut",
    "Layout",
    "Neighbours",
    "PlaceTree",
    "Places",
    "Skipped",
    "cut_out",
    "cut_out_depth",
    "dates",
    "depth_path",
    "distance",
    "from_utm",
    "group_places",
    "hold_out",
    "is_within",
    "read_depth",
    "read_panorama",
    "read_places",
    "sessions",
    "to_utm",
    "visits",
    "within",
    "write_cut_outs",
    "write_depth",
]
