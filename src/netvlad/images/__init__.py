"""Photos on disk as upright RGB arrays, decoded ahead of need in worker processes."""

from netvlad.images.read import read_image

__all__ = ["read_image"]
