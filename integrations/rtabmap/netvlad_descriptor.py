"""Global descriptors for RTAB-Map, by a model that is fitted or by an ONNX file.

    NETVLAD_MODEL=model/ rtabmap --PyDescriptor/Path netvlad_descriptor.py --PyDescriptor/Dim 512

RTAB-Map embeds Python: it calls `init(dim)` once and `extract(image)` for each frame. Tested with these calls as its
PyDescriptor.cpp makes them, not in RTAB-Map.
"""

from __future__ import annotations

import os
import sys

import numpy as np

if not hasattr(sys, "argv"):  # an embedded interpreter has none, and libraries look there
    sys.argv = [""]

_model = None
_dim = 0


def init(dim: int) -> None:
    """Load the model. dim: how many of its numbers are given to RTAB-Map. Raises ValueError where it has fewer."""
    global _model, _dim
    import netvlad

    name = os.environ.get("NETVLAD_MODEL", "")
    if not name:
        raise ValueError("set NETVLAD_MODEL to the folder of a fitted model, the model/ of a map, or an ONNX file")
    model = netvlad.load(name)
    if not 0 < dim <= model.dim:
        raise ValueError(f"{name} describes by {model.dim} numbers; PyDescriptor/Dim asks for {dim}")
    _model, _dim = model, dim


def extract(image: np.ndarray) -> np.ndarray:
    """The descriptor (1, dim) float32 of unit length of a frame (H, W, 3) BGR or (H, W, 1).

    The pixels come as signed bytes, and belong to RTAB-Map once this returns.
    """
    if _model is None:
        raise RuntimeError("init(dim) comes before extract(image)")
    pixels = image.view(np.uint8)[..., ::-1]
    rgb = np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    vector = _model.describe([rgb])[:, :_dim]
    return np.ascontiguousarray(vector / np.linalg.norm(vector, axis=1, keepdims=True), np.float32)
