"""Panoramas: equirectangular cameras, cut-outs, depth, and views synthesised from them."""

from netvlad.panoramas.camera import Camera
from netvlad.panoramas.cut_outs import LAYOUTS, Layout, write_cut_outs
from netvlad.panoramas.panorama import cut_out, cut_out_depth, depth_path, read_depth, read_panorama, write_depth

__all__ = [
    "LAYOUTS",
    "Camera",
    "Layout",
    "cut_out",
    "cut_out_depth",
    "depth_path",
    "read_depth",
    "read_panorama",
    "write_cut_outs",
    "write_depth",
]
