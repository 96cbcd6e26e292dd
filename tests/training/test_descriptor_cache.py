from __future__ import annotations

import numpy as np
import pytest
import torch

from netvlad.errors import NetvladError
from netvlad.training.descriptor_cache import DescriptorCache
from netvlad.training.losses import Diverged


def unit(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    x = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
    return x / x.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("on_disk", [False, True])
def test_squared_distances_like_float64(tmp_path, on_disk):
    vectors = unit(40, 96)
    cache = DescriptorCache(40, 96, memory=0 if on_disk else 1e9, folder=str(tmp_path) if on_disk else None)
    cache.set(np.arange(30), vectors[:30])
    cache.set([39, 31], vectors[[39, 31]])
    x = vectors.to(torch.float16).double().numpy()
    others = np.array([0, 5, 31, 39, 7])
    found = cache.squared_distances(5, others)
    np.testing.assert_allclose(found, ((x[others] - x[5]) ** 2).sum(1), atol=1e-6)
    assert found[1] >= 0
    assert np.isnan(cache.squared_distances(5, np.array([30, 0]))).tolist() == [True, False]
    assert np.isnan(cache.squared_distances(30, others)).all()
    assert cache.squared_distances(0, np.empty(0, np.int64)).shape == (0,)
    assert not list(tmp_path.iterdir())  # the file has no name: nothing is left behind


def test_a_row_is_set_anew():
    cache, vectors = DescriptorCache(3, 8), unit(3, 8)
    cache.set([0, 1, 2], vectors)
    cache.set([1], vectors[:1])
    assert cache.squared_distances(0, np.array([1]))[0] < 1e-5


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_descriptors_that_are_not_finite(bad):
    vectors = unit(2, 4)
    vectors[1, 2] = bad
    with pytest.raises(Diverged, match="NaN or infinite"):
        DescriptorCache(2, 4).set([0, 1], vectors)


def test_too_large_for_memory():
    with pytest.raises(NetvladError, match=r"1000000 descriptors of 4096 numbers take 8\.2 GB, more than the 1\.0 GB"):
        DescriptorCache(1_000_000, 4096, memory=1e9)
