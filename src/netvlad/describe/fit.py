"""What a describer learns from photos without training: cluster centres and whitening."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from netvlad.describe.descriptor import NetworkDescriber, evaluating
from netvlad.describe.stream import decode_for, describe_all
from netvlad.describe.vlad import kmeans
from netvlad.describe.whitening import fit_whitening
from netvlad.errors import ModelError
from netvlad.progress import progress

# the authors' numbers: 50,000 local descriptors, from 500 photos; 10,000 photos for the whitening
DESCRIPTORS, PHOTOS, WHITENING_PHOTOS = 50_000, 500, 10_000


def fit(
    model: NetworkDescriber,
    paths: Sequence[str],
    *,
    whiten: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> NetworkDescriber:
    """Fit the cluster centres of a VLAD pooling on `paths`, and a PCA whitening to `whiten` dimensions if asked.

    Photos are drawn at random by `seed`; unreadable ones are left out. Returns `model`, changed.
    Raises ModelError when there are too few photos.
    """
    if len(paths) == 0:
        raise ModelError(f"{model.name} cannot be fitted: no photos were given")
    model.whitening = None
    model.fitted_on = {"photos_given": len(paths), "seed": seed}
    if hasattr(model.pooling, "initialise"):
        descriptors = sample_locals(model, paths, seed=seed, workers=workers)
        centres = kmeans(descriptors, model.clusters, seed=seed)
        model.pooling.initialise(centres, descriptors)
        model.fitted_on["local_descriptors"] = len(descriptors)
    if whiten:
        chosen = _choose(len(paths), WHITENING_PHOTOS, np.random.default_rng([seed, 1]))
        vectors, bad = describe_all(model, [paths[i] for i in chosen], what="whitening", workers=workers)
        model.whitening = fit_whitening(np.delete(vectors, list(bad), axis=0), whiten).to(model.device)
        model.fitted_on["whitening_photos"] = len(chosen) - len(bad)
    return model


@torch.inference_mode()
def sample_locals(
    model: NetworkDescriber, paths: Sequence[str], *, seed: int = 0, workers: int | None = None
) -> np.ndarray:
    """Local descriptors of the trunk, L2-normalised, (n, D) float32: 100 at random from each of 500 photos.

    From fewer photos more of each are taken, until 50,000 or as many as there are.
    """
    chosen = _choose(len(paths), PHOTOS, np.random.default_rng([seed, 0]))
    each = math.ceil(DESCRIPTORS / len(chosen))
    taken: list[np.ndarray] = []
    with evaluating(model), progress("fitting centres", len(chosen)) as advance:
        for chunk in decode_for(model, [paths[i] for i in chosen], workers=workers):
            good = [p for p in chunk if p.image is not None]
            for rows, batch in model.batches([p.image for p in good]):
                maps = model.trunk(model.prepare(batch)).flatten(2)
                maps = torch.nn.functional.normalize(maps.float(), dim=1).cpu().numpy()
                for row, x in zip(rows, maps, strict=True):
                    # drawn by the photo's own number: what else is in the batch changes nothing
                    rng = np.random.default_rng([seed, 2, good[row].row])
                    picked = rng.permutation(x.shape[1])[:each]
                    taken.append(x[:, picked].T)
            advance(len(chunk))
    if not taken:
        raise ModelError(f"{model.name} cannot be fitted: none of the {len(chosen)} photos drawn could be read")
    return np.concatenate(taken)[:DESCRIPTORS]


def _choose(n: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(n) if n <= limit else np.sort(rng.choice(n, limit, replace=False))
