"""Fitting a describer to photos without labels: cluster centres and whitening."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from netvlad.describe.default import DefaultNetVLAD
from netvlad.describe.method import TRAINED
from netvlad.describe.names import PROJECTION
from netvlad.describe.stream import decode_for, describe_all
from netvlad.describe.vlad import kmeans
from netvlad.describe.whitening import fit_projection, fit_whitening
from netvlad.errors import ModelError
from netvlad.runtime.progress import progress
from netvlad.types import Describer, Fittable, FloatArray, IntArray

# the authors' numbers: 50,000 local descriptors, from 500 photos; 10,000 photos for the whitening
DESCRIPTORS, PHOTOS, WHITENING_PHOTOS = 50_000, 500, 10_000
PROJECTION_PHOTOS = 2000  # of the model that comes along: four for each number
Model = TypeVar("Model", bound=Describer)


def fit(
    model: Model, paths: Sequence[str], *, whiten: int | None = None, seed: int = 0, workers: int | None = None
) -> Model:
    """Fit cluster centres on the photos at `paths`, and a PCA whitening to `whiten` dimensions if asked.

    The model that comes along gets its projection too, to its own number of dimensions unless `whiten` says otherwise.
    Centres that were trained, or that came with a published model, stay as they are (`needs_centres`). Photos are drawn
    at random by `seed`; unreadable ones are left out. Returns `model`, changed. Raises ModelError for a model
    that is not `Fittable`, and for too few photos.
    """
    if not isinstance(model, Fittable):
        raise ModelError(f"{model.name} has nothing that could be fitted")
    if len(paths) == 0:
        raise ModelError(f"{model.name} cannot be fitted: no photos were given")
    model.set_whitening(None)
    training = {key: model.fitted_on[key] for key in TRAINED if key in model.fitted_on}
    model.fitted_on = {"photos_given": len(paths), "seed": seed, **training}
    if model.needs_centres:
        descriptors = sample_locals(model, paths, seed=seed, workers=workers)
        model.set_centres(kmeans(descriptors, model.clusters, seed=seed), descriptors)
        model.fitted_on["local_descriptors"] = len(descriptors)

    def vectors(most: int, what: str) -> FloatArray:
        chosen = _choose(len(paths), most, np.random.default_rng([seed, 1]))
        found, bad = describe_all(model, [paths[i] for i in chosen], what=what, workers=workers)
        return np.delete(found, list(bad), axis=0)

    if isinstance(model, DefaultNetVLAD):
        x = vectors(PROJECTION_PHOTOS, "fitting the projection")
        model.set_whitening(fit_projection(x, whiten or model.compact, seed=seed))
        model.fitted_on[PROJECTION] = len(x)
    elif whiten:
        x = vectors(WHITENING_PHOTOS, "whitening")
        model.set_whitening(fit_whitening(x, whiten))
        model.fitted_on["whitening_photos"] = len(x)
    return model


def sample_locals(model: Fittable, paths: Sequence[str], *, seed: int = 0, workers: int | None = None) -> FloatArray:
    """Sample local descriptors, (n, D) float32, L2-normalised: 100 at random from each of 500 photos.

    From fewer photos more of each are taken, until there are 50,000 or no more. Raises ModelError if no photo can be
    read.
    """
    chosen = _choose(len(paths), PHOTOS, np.random.default_rng([seed, 0]))
    each = math.ceil(DESCRIPTORS / len(chosen))
    taken: list[FloatArray] = []
    with progress("fitting centres", len(chosen)) as advance:
        for chunk in decode_for(model, [paths[i] for i in chosen], workers=workers):
            good = {photo.row: photo.image for photo in chunk if photo.image is not None}
            rows = list(good)
            for row, x in model.local_descriptors(list(good.values())):
                # seeded by the photo's number, so that the draw does not depend on the batch
                rng = np.random.default_rng([seed, 2, rows[row]])
                taken.append(x[rng.permutation(len(x))[:each]])
            advance(len(chunk))
    if not taken:
        raise ModelError(f"{model.name} cannot be fitted: none of the {len(chosen)} photos drawn could be read")
    return np.concatenate(taken)[:DESCRIPTORS]


def _choose(n: int, limit: int, rng: np.random.Generator) -> IntArray:
    return np.arange(n) if n <= limit else np.sort(rng.choice(n, limit, replace=False))
