"""The exact explanation: the similarity as a sum over locations.

A vector is z / |z| with z = W (v - mean), and v = sum over locations i of shares v_i: of NetVLAD (Arandjelovic et al.,
CVPR 2016, equation 4) the residuals a_ik (x_i - c_k) / (n_k N), n_k the norms of the clusters and N of the whole. With
all norms held fixed, the similarity is linear in the query's shares,

    s = g . (v - mean) = sum_i g . v_i - g . mean      g = W^T z' / (|z| |z'|)

and its terms are the query's map. Without a whitening g is the match's v', and the terms are the row sums of the table
of all pairs of locations, 1/(N N') sum_k 1/(n_k n'_k) a_ik b_jk <x_i - c_k, y_j - c_k>. The maps cost locations times
dimensions times clusters; only pairs of cells, blocks of locations, are multiplied out.
"""

from __future__ import annotations

import os

import numpy as np

from netvlad.errors import ImageError
from netvlad.explanation.cells import grid, strongest
from netvlad.explanation.result import ClusterShare, Explanation
from netvlad.types import FloatArray, ImageLike, Parts, Separable

CLUSTERS = 8  # of which maps are kept


def explain_exactly(model: Separable, query: ImageLike, match: ImageLike) -> Explanation:
    """Take the similarity of two photos apart. Raises ImageError, ModelError."""
    mean = model.mean
    photos = [_Photo(model, image, mean) for image in (query, match)]
    (q, d) = photos
    to_query, to_match = (model.projected_back(other.unit[None])[0] / photo.length for photo, other in ((q, d), (d, q)))
    of_query, of_match = q.parts.along(to_query), d.parts.along(to_match)
    table = q.of_cells(model, mean) @ d.of_cells(model, mean).T
    table = table.reshape(*q.cells[:2], *d.cells[:2])
    return Explanation(
        similarity=float(q.unit @ d.unit),
        exact=True,
        query_map=of_query.sum(axis=0),
        match_map=of_match.sum(axis=0),
        query_constant=0.0 - float(to_query @ mean),
        match_constant=0.0 - float(to_match @ mean),
        table=table,
        pairs=strongest(table),
        clusters=_clusters(of_query, of_match) if len(of_query) > 1 else (),
    )


class _Photo:
    """A photo taken apart. length: |z|; unit: (dim,), z / |z|; cells: rows, columns and the cell of each location."""

    def __init__(self, model: Separable, image: ImageLike, mean: FloatArray) -> None:
        self.parts: Parts = model.parts(image)
        if not self.parts.vector.any():
            raise ImageError("nothing in it can be described: it has no contrast", path=_path(image))
        z = model.projected((self.parts.vector - mean)[None])[0]
        self.length = max(float(np.linalg.norm(z)), 1e-12)
        self.unit: FloatArray = z / self.length
        self.cells = grid(*self.parts.defined.shape)

    def of_cells(self, model: Separable, mean: FloatArray) -> FloatArray:
        """What each cell adds to `unit`, (cells, dim); the mean is taken evenly from all locations that count."""
        rows, columns, cell = self.cells
        sums = self.parts.summed(cell, rows * columns)
        counted = np.bincount(cell[self.parts.defined], minlength=rows * columns).astype(np.float32)
        sums -= np.outer(counted / counted.sum(), mean)
        of_cells: FloatArray = model.projected(sums) / self.length
        return of_cells


def _path(image: ImageLike) -> str | os.PathLike[str] | None:
    return image if isinstance(image, (str, os.PathLike)) else None


def _clusters(of_query: FloatArray, of_match: FloatArray) -> tuple[ClusterShare, ...]:
    """The clusters that add most, of shares (K, h, w) and (K, h', w')."""
    query, match = (shares.sum(axis=(1, 2), dtype=np.float64) for shares in (of_query, of_match))
    best = np.argsort(-(query + match), kind="stable")[:CLUSTERS]
    return tuple(ClusterShare(int(k), float(query[k]), float(match[k]), of_query[k], of_match[k]) for k in best)
