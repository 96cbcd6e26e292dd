"""Names and numbers of describers that are needed where torch is not. Nothing here imports it."""

from __future__ import annotations

from netvlad.types import Describer, Fittable

LONGEST_SIDE = 640  # pixels; Pittsburgh and Tokyo 24/7 cut-outs are 640x480
DEFAULT: str = "default"  # the model that comes along
DEFAULT_BACKBONE: str = "tf_efficientnet_lite0"
DEFAULT_DIM = 512
PROJECTION = "projection_photos"  # entry of `fitted_on`
DENSE_VLAD = "densevlad"
DENSE_VLAD_2015 = "densevlad-2015"  # with SIFT in bytes


def outgrown(model: Describer, photos: int) -> int:
    """Number of photos that a default model was fitted on, where a map of it holds four times as many; else 0.

    Its projection knows the directions in which the first photos differ, and finds less among many others.
    """
    fitted = model.fitted_on.get(PROJECTION, 0) if isinstance(model, Fittable) else 0
    return int(fitted) if fitted < DEFAULT_DIM and photos >= 4 * fitted else 0
