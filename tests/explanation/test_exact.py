from __future__ import annotations

import numpy as np
import pytest

import netvlad
from netvlad.describe.dense_vlad import DenseVLAD
from netvlad.describe.wccn import fit_wccn
from netvlad.errors import ImageError, ModelError
from netvlad.explanation.exact import explain_exactly


def residuals(model, x, counts):
    """a_ik (x_i - c_k) of each location and cluster, and n_k, N, in float64, one by one: (L, K, D)."""
    weight, centres = (p.detach().cpu().double().numpy() for p in (model.pooling.weight, model.pooling.centres))
    found = np.zeros((x.shape[1], *centres.shape))
    for i in range(x.shape[1]):
        powers = [np.exp(w @ x[:, i] - max(v @ x[:, i] for v in weight)) for w in weight]
        for k, centre in enumerate(centres):
            if counts[i]:
                found[i, k] = powers[k] / sum(powers) * (x[:, i] - centre)
    norms = [np.linalg.norm(found[:, k].sum(axis=0)) for k in range(len(centres))]
    whole = np.sqrt(sum(np.linalg.norm(found[:, k].sum(axis=0) / n) ** 2 for k, n in enumerate(norms)))
    return found, norms, whole


def by_hand(model, query, match):
    """The double sum over pairs of locations, (L, L')."""
    (a, n, big_n), (b, n2, big_n2) = (residuals(model, *photo) for photo in (query, match))
    table = np.zeros((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            for k in range(len(n)):
                table[i, j] += a[i, k] @ b[j, k] / (n[k] * n2[k]) / (big_n * big_n2)
    return table


@pytest.mark.parametrize("holes", [False, True])
def test_maps_are_the_sums_of_all_pairs_of_locations(make, pair, holed, features, holes):
    model, images = make(), holed if holes else pair
    table = by_hand(model, *(features(model, image) for image in images))
    found = explain_exactly(model, *images)
    vectors = np.concatenate([model.describe([image]) for image in images])
    assert abs(table.sum() - vectors[0] @ vectors[1]) < 1e-5
    assert abs(found.similarity - table.sum()) < 1e-5
    np.testing.assert_allclose(found.query_map.ravel(), table.sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.match_map.ravel(), table.sum(axis=0), atol=1e-6)
    assert found.query_map.shape != found.match_map.shape
    assert (found.query_constant, found.match_constant) == (0, 0)
    r, c, r2, c2 = found.table.shape  # so small a map has a cell for each location
    np.testing.assert_allclose(found.table.reshape(r * c, r2 * c2), table, atol=1e-6)
    if holes:
        assert found.query_map[0, 0] == 0
        assert not found.table[0, 0].any()


@pytest.mark.parametrize("holes", [False, True])
def test_a_whitened_similarity_is_the_sum_of_its_map_and_a_constant(make, pair, holed, features, holes):
    model, images = make(whiten=6), holed if holes else pair
    w, mean = (t.cpu().double().numpy() for t in (model.whitening.matrix, model.whitening.mean))
    (a, n, big_n), (b, n2, big_n2) = (residuals(model, *features(model, image)) for image in images)
    v = (a / np.reshape(n, (-1, 1)) / big_n).reshape(len(a), -1)
    v2 = (b / np.reshape(n2, (-1, 1)) / big_n2).reshape(len(b), -1)
    z, z2 = w @ (v.sum(axis=0) - mean), w @ (v2.sum(axis=0) - mean)
    g = w.T @ z2 / np.linalg.norm(z) / np.linalg.norm(z2)
    found = explain_exactly(model, *images)
    for i, value in enumerate(found.query_map.ravel()):
        assert abs(value - v[i] @ g) < 1e-5
    assert abs(found.query_constant + g @ mean) < 1e-5
    assert abs(found.query_constant) > 1e-3
    for total in (found.query_map.sum() + found.query_constant, found.match_map.sum() + found.match_constant):
        assert abs(total - z @ z2 / np.linalg.norm(z) / np.linalg.norm(z2)) < 1e-5
    assert abs(found.table.sum() - found.similarity) < 1e-5


POOLINGS = ["max", "avg", "gem", "vlad", "netvlad", "netvlad2", "vladbuff"]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("adjusted", ["", "pca", "cameras"])
def test_parts_of_every_pooling_sum_to_the_similarity(make, pair, holed, pooling, adjusted):
    model = make(pooling, whiten=5 if adjusted == "pca" else None)
    if adjusted == "cameras":
        rng = np.random.default_rng(0)
        model.set_whitening(fit_wccn(rng.normal(size=(40, model.dim)), np.arange(40) // 4))
    for query, match in ((pair[0], pair[1]), (holed[0], pair[1]), (holed[0], holed[1])):
        similarity = float((model.describe([query]) @ model.describe([match]).T)[0, 0])
        found = explain_exactly(model, query, match)
        assert abs(found.similarity - similarity) < 1e-5
        assert abs(found.query_map.sum() + found.query_constant - similarity) < 1e-5
        assert abs(found.match_map.sum() + found.match_constant - similarity) < 1e-5
        assert abs(found.table.sum() - similarity) < 1e-5
        assert bool(found.clusters) == ("vlad" in pooling)


def test_clusters_sum_to_the_similarity_and_have_maps(make, pair):
    found = explain_exactly(make(), *pair)
    assert sorted(share.cluster for share in found.clusters) == [0, 1, 2, 3]
    assert abs(sum(share.query_share for share in found.clusters) - found.similarity) < 1e-5
    assert [share.query_share for share in found.clusters] == sorted([s.query_share for s in found.clusters])[::-1]
    np.testing.assert_allclose(sum(share.match_map for share in found.clusters), found.match_map, atol=1e-6)
    for share in found.clusters:
        assert abs(share.query_share - share.query_map.sum()) < 1e-6
        assert abs(share.match_share - share.query_share) < 1e-5  # not whitened


def test_a_photo_and_itself_agree_wholly(make, pair):
    found = explain_exactly(make(), pair[0], pair[0])
    assert abs(found.similarity - 1) < 1e-5
    np.testing.assert_allclose(found.query_map, found.match_map, atol=1e-6)
    assert found.pairs[0].query == found.pairs[0].match


def noise(seed: int, height: int = 192, width: int = 256):
    return np.random.default_rng(seed).integers(90, 166, (height, width, 3), dtype=np.uint8)


def spots(found, side):
    return [getattr(pair, side) for pair in found.pairs[:2]]


@pytest.mark.parametrize("whiten", [None, 8])
def test_a_planted_match_is_found(make, whiten):
    """A striped sign in two photos of noise, upper left in one and lower right in the other."""
    model = make(whiten=whiten)
    sign = np.zeros((64, 64, 3), np.uint8)
    sign[:, ::8] = sign[:, 1::8] = sign[:, 2::8] = (255, 60, 0)
    query, match = noise(0), noise(1)
    query[32:96, 32:96] = match[96:160, 160:224] = sign
    found = explain_exactly(model, query, match)
    best = found.pairs[0]
    x, y = best.query[0] * 256, best.query[1] * 192
    x2, y2 = best.match[0] * 256, best.match[1] * 192
    assert 16 <= x <= 112
    assert 16 <= y <= 112
    assert 144 <= x2 <= 240
    assert 80 <= y2 <= 176


def test_dense_vlad_is_taken_apart_and_finds_a_planted_match():
    rng = np.random.default_rng(0)
    model = DenseVLAD(clusters=8)
    query, match = (np.kron(noise(s, 48, 64), np.ones((2, 2, 1), np.uint8)) for s in (4, 5))
    sign = np.kron(rng.integers(0, 2, (6, 6, 1)) * 255, np.ones((8, 8, 3))).astype(np.uint8)
    query[8:56, 8:56] = match[40:88, 72:120] = sign
    descriptors = np.concatenate([x for _, x in model.local_descriptors([query, match])])
    model.set_centres(descriptors[rng.permutation(len(descriptors))[:8]], descriptors)
    vectors = model.describe([query, match])
    found = explain_exactly(model, query, match)
    assert abs(found.similarity - vectors[0] @ vectors[1]) < 1e-5
    assert abs(found.query_map.sum() - found.similarity) < 1e-5
    assert abs(found.table.sum() - found.similarity) < 1e-5
    x, y = found.pairs[0].query
    x2, y2 = found.pairs[0].match
    assert (x * 128 < 60, y * 96 < 60, x2 * 128 > 68, y2 * 96 > 36) == (True,) * 4


def test_what_has_no_contrast_cannot_be_explained(photos):
    model = DenseVLAD(clusters=2)
    model.set_centres(np.eye(128, dtype=np.float32)[:2], None)
    black = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ImageError):
        explain_exactly(model, photos(1)[0], black)


def test_a_model_without_centres_says_so(weights, pair):
    with pytest.raises(ModelError, match="centres"):
        netvlad.explain(netvlad.load("test_resnet-netvlad"), *pair)
