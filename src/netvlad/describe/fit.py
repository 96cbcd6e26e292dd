"""What a describer learns from photos without training: cluster centres and whitening."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from netvlad.describe.dense_vlad import DenseVLAD
from netvlad.describe.network import NetworkDescriber, evaluating
from netvlad.describe.stream import decode_for, describe_all
from netvlad.describe.vlad import kmeans
from netvlad.describe.whitening import fit_whitening
from netvlad.errors import ModelError
from netvlad.runtime.progress import progress

# the authors' numbers: 50,000 local descriptors, from 500 photos; 10,000 photos for the whitening
DESCRIPTORS, PHOTOS, WHITENING_PHOTOS = 50_000, 500, 10_000
LEARNT = ("training", "sessionID")  # what says that a model was trained, here or by NetVLAD's authors


def fit(
    model: NetworkDescriber | DenseVLAD,
    paths: Sequence[str],
    *,
    whiten: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> NetworkDescriber | DenseVLAD:
    """Fit the cluster centres of a VLAD pooling on `paths`, and a PCA whitening to `whiten` dimensions if asked.

    Centres that were trained, or that came with a published model, stay as they are.
    Photos are drawn at random by `seed`; unreadable ones are left out. Returns `model`, changed.
    Raises ModelError when there are too few photos.
    """
    if len(paths) == 0:
        raise ModelError(f"{model.name} cannot be fitted: no photos were given")
    model.whitening = None
    learnt = {key: model.fitted_on[key] for key in LEARNT if key in model.fitted_on}
    model.fitted_on = {"photos_given": len(paths), "seed": seed, **learnt}
    if hasattr(model.pooling, "initialise") and not getattr(model, "centres_given", False) and not learnt:
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
    model: NetworkDescriber | DenseVLAD, paths: Sequence[str], *, seed: int = 0, workers: int | None = None
) -> np.ndarray:
    """Local descriptors, L2-normalised, (n, D) float32: 100 at random from each of 500 photos.

    From fewer photos more of each are taken, until 50,000 or as many as there are. None at undefined parts.
    """
    chosen = _choose(len(paths), PHOTOS, np.random.default_rng([seed, 0]))
    each = math.ceil(DESCRIPTORS / len(chosen))
    taken: list[np.ndarray] = []
    local_descriptors = getattr(model, "local_descriptors", None) or partial(_of_network, model)
    with evaluating(model), progress("fitting centres", len(chosen)) as advance:
        for chunk in decode_for(model, [paths[i] for i in chosen], workers=workers):
            good = [p for p in chunk if p.image is not None]
            for row, x in local_descriptors([p.image for p in good]):
                # drawn by the photo's own number: what else is in the batch changes nothing
                rng = np.random.default_rng([seed, 2, good[row].row])
                taken.append(x[rng.permutation(len(x))[:each]])
            advance(len(chunk))
    if not taken:
        raise ModelError(f"{model.name} cannot be fitted: none of the {len(chosen)} photos drawn could be read")
    return np.concatenate(taken)[:DESCRIPTORS]


def _of_network(model: NetworkDescriber, images: Sequence) -> Iterator[tuple[int, np.ndarray]]:
    """Of each of `images` its row and its local descriptors (n, D)."""
    for rows, batch in model.batches(images):
        maps, mask = model.maps(model.prepare(batch))
        maps = torch.nn.functional.normalize(maps.flatten(2).float(), dim=1).cpu().numpy()
        counts = [slice(None)] * len(rows) if mask is None else mask.flatten(1).bool().cpu().numpy()
        for row, x, kept in zip(rows, maps, counts, strict=True):
            yield row, x[:, kept].T


def _choose(n: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(n) if n <= limit else np.sort(rng.choice(n, limit, replace=False))
