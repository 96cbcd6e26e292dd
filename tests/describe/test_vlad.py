from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from netvlad.describe.vlad import VLAD, NetVLAD, initialise_v1, initialise_v2, kmeans
from netvlad.errors import ModelError


def by_hand(x, weight, bias, centres) -> torch.Tensor:
    """Equation 4 and the normalisations of section 3.1, number by number: (N, D, H, W) -> (N, K * D)."""
    rows = []
    for image in x:
        dim, height, width = image.shape
        sums = [[0.0] * dim for _ in centres]
        for h in range(height):
            for w in range(width):
                length = sum(image[d, h, w] ** 2 for d in range(dim)) ** 0.5
                local = [image[d, h, w] / length for d in range(dim)]
                scores = [
                    sum(w_k[d] * local[d] for d in range(dim)) + b_k for w_k, b_k in zip(weight, bias, strict=True)
                ]
                powers = [(score - max(scores)).exp() for score in scores]
                for k, centre in enumerate(centres):
                    for d in range(dim):
                        sums[k][d] = sums[k][d] + powers[k] / sum(powers) * (local[d] - centre[d])
        intra = [[v / sum(u * u for u in block) ** 0.5 for v in block] for block in sums]
        whole = sum(v * v for block in intra for v in block) ** 0.5
        rows.append(torch.stack([v / whole for block in intra for v in block]))  # cluster by cluster
    return torch.stack(rows)


def parts(version: int, dim: int = 5, clusters: int = 3, seed: int = 0):
    """A map and parameters, float64: x, weight, centres, bias."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(2, dim, 2, 3, generator=g, dtype=torch.float64) * 4
    weight = torch.randn(clusters, dim, generator=g, dtype=torch.float64) * 3
    centres = torch.randn(clusters, dim, generator=g, dtype=torch.float64)
    bias = torch.randn(clusters, generator=g, dtype=torch.float64)
    return x, weight, centres, bias if version == 2 else torch.zeros_like(bias)


def layer(version: int, weight, centres, bias) -> NetVLAD:
    net = NetVLAD(weight.shape[1], len(weight), version).to(weight.dtype)
    state = {"weight": weight, "centres": centres} | ({"bias": bias} if version == 2 else {})
    net.load_state_dict(state)
    return net


def unit_rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def fitted(version: int, dim: int = 16, clusters: int = 8) -> NetVLAD:
    descriptors = unit_rows(400, dim)
    net = NetVLAD(dim, clusters, version)
    net.initialise(kmeans(descriptors, clusters), descriptors)
    return net


both = pytest.mark.parametrize("version", [1, 2])


@both
def test_forward_equals_the_sum_by_hand(version):
    x, weight, centres, bias = parts(version)
    expected = by_hand(x, weight, bias, centres)
    out = layer(version, weight, centres, bias)(x)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-13)
    single = layer(version, weight.float(), centres.float(), bias.float())(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(2, dtype=torch.float64))


@both
def test_each_cluster_has_the_same_length(version):
    x, weight, centres, bias = parts(version, dim=7, clusters=4)
    blocks = layer(version, weight, centres, bias)(x).view(2, 4, 7)
    torch.testing.assert_close(blocks.norm(dim=2), torch.full((2, 4), 0.5, dtype=torch.float64))


@both
def test_gradients_are_those_of_the_sum_by_hand(version):
    values = [v.requires_grad_() for v in parts(version, dim=4)]
    x, weight, centres, bias = values
    net = layer(version, weight.detach(), centres.detach(), bias.detach())
    names = ["weight", "centres"] + (["bias"] if version == 2 else [])
    target = torch.randn(2, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    inputs = [x, weight, centres] + ([bias] if version == 2 else [])
    expected = torch.autograd.grad((by_hand(x, weight, bias, centres) * target).sum(), inputs)
    params = dict(zip(names, inputs[1:], strict=True))
    found = torch.autograd.grad((functional_call(net, params, (x,)) * target).sum(), inputs)
    for name, a, b in zip(["x", *names], found, expected, strict=True):
        assert b.abs().max() > 1e-3
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11, msg=name)


@both
def test_gradients_are_those_of_small_differences(version):
    x, weight, centres, bias = parts(version, dim=3)
    net = layer(version, weight, centres, bias)
    names = ["weight", "centres"] + (["bias"] if version == 2 else [])

    def run(x, *params):
        return functional_call(net, dict(zip(names, params, strict=True)), (x,))

    inputs = [x, *(getattr(net, name).detach().clone() for name in names)]
    assert torch.autograd.gradcheck(run, [v.requires_grad_() for v in inputs])


# -- undefined locations ----------------------------------------------------------------------------------------------

MASK = torch.tensor([[[[1.0, 0, 1], [1, 1, 0]]], [[[0.0, 0, 1], [0, 1, 0]]]])  # of the maps of `parts`


@both
def test_masked_equals_the_sum_over_the_others_by_hand(version):
    x, weight, centres, bias = parts(version)
    out = layer(version, weight, centres, bias)(x, MASK)
    for image, mask, vector in zip(x, MASK, out, strict=True):
        expected = by_hand(image[:, mask[0] == 1][None, :, None], weight, bias, centres)[0]
        torch.testing.assert_close(vector, expected, rtol=1e-12, atol=1e-13)


@both
def test_without_a_mask_it_is_to_the_last_bit_what_it_is_with_ones(version):
    x, weight, centres, bias = parts(version)
    net = layer(version, weight, centres, bias)
    assert torch.equal(net(x), net(x, torch.ones(2, 1, 2, 3)))


@both
def test_masked_gradients_are_those_of_the_sum_by_hand(version):
    x, weight, centres, bias = values = [v.requires_grad_() for v in parts(version, dim=4)]
    net = layer(version, weight.detach(), centres.detach(), bias.detach())
    inputs = values if version == 2 else values[:3]
    params = dict(zip(["weight", "centres", "bias"], inputs[1:], strict=False))
    target = torch.randn(2, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    left = [image[:, mask[0] == 1][None, :, None] for image, mask in zip(x, MASK, strict=True)]
    wanted = torch.cat([by_hand(part, weight, bias, centres) for part in left])
    expected = torch.autograd.grad((wanted * target).sum(), inputs)
    found = torch.autograd.grad((functional_call(net, params, (x, MASK)) * target).sum(), inputs)
    for a, b in zip(found, expected, strict=True):
        assert b.abs().max() > 1e-3
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    assert not found[0][(MASK == 0).expand_as(x)].any()


@both
def test_masked_gradients_are_those_of_small_differences(version):
    x, weight, centres, bias = parts(version, dim=3)
    net = layer(version, weight, centres, bias)
    names = ["weight", "centres"] + (["bias"] if version == 2 else [])

    def run(x, *params):
        return functional_call(net, dict(zip(names, params, strict=True)), (x, MASK))

    inputs = [x, *(getattr(net, name).detach().clone() for name in names)]
    assert torch.autograd.gradcheck(run, [v.requires_grad_() for v in inputs])


def test_hard_vlad_leaves_out_what_is_masked():
    net = VLAD(2, 2)
    net.initialise(np.eye(2), np.zeros((0, 2)))
    x = torch.tensor([[0.8, 0.6, 0.0], [0.6, 0.8, -1.0]]).view(1, 2, 1, 3)
    out = net(x, torch.tensor([[[[1.0, 0.0, 0.0]]]]))[0]
    length = math.hypot(0.2, 0.6)
    torch.testing.assert_close(out, torch.tensor([-0.2 / length, 0.6 / length, 0, 0]))


# -- initialisation -------------------------------------------------------------------------------------------------


def test_initialise_v1_by_hand():
    centres, descriptors = np.random.default_rng(1).normal(size=(4, 6)), unit_rows(50, 6).astype(np.float64)
    unit = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    cosines = np.sort(descriptors @ unit.T, axis=1)
    alpha = -np.log(0.01) / np.mean(cosines[:, -1] - cosines[:, -2])

    net = NetVLAD(6, 4)
    assert not net.ready
    net.initialise(centres, descriptors)
    assert net.ready
    assert net.bias is None
    np.testing.assert_allclose(net.weight.detach(), alpha * unit, rtol=1e-6)
    np.testing.assert_allclose(net.centres.detach(), centres, rtol=1e-6)  # raw, not normalised
    weight, bias = initialise_v1(torch.from_numpy(centres), torch.from_numpy(descriptors))
    np.testing.assert_allclose(weight, alpha * unit, rtol=1e-12)
    assert not bias.any()


def test_initialise_v2_by_hand():
    centres, descriptors = np.random.default_rng(2).normal(size=(4, 6)), unit_rows(50, 6).astype(np.float64)
    squares = np.sort(((descriptors[:, None] - centres[None]) ** 2).sum(axis=2), axis=1)
    alpha = -np.log(0.01) / np.mean(squares[:, 1] - squares[:, 0])

    net = NetVLAD(6, 4, version=2)
    net.initialise(centres, descriptors)
    np.testing.assert_allclose(net.weight.detach(), 2 * alpha * centres, rtol=1e-6)
    np.testing.assert_allclose(net.bias.detach(), -alpha * (centres**2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(net.centres.detach(), centres, rtol=1e-6)
    weight, bias = initialise_v2(torch.from_numpy(centres), torch.from_numpy(descriptors))
    # w.x + b is -alpha * d^2, but for what all clusters share
    rest = descriptors @ weight.numpy().T + bias.numpy() + alpha * ((descriptors[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_allclose(rest, np.repeat(rest[:, :1], 4, axis=1), rtol=1e-9)


@both
def test_the_largest_weight_is_100_times_the_second_at_the_mean_gap(version):
    # three centres along the axes, descriptors that all have one gap: between the first two axes at one angle
    angle = math.radians(30)
    c, s = math.cos(angle), math.sin(angle)
    descriptors = np.array([[c, s, 0], [s, c, 0]])
    net = NetVLAD(3, 3, version)
    net.initialise(0.9 * np.eye(3), descriptors)
    scores = net.weight @ torch.tensor(descriptors.T, dtype=torch.float32)
    scores = scores + (0 if net.bias is None else net.bias[:, None])
    weights = scores.softmax(dim=0).sort(dim=0, descending=True).values
    torch.testing.assert_close(weights[0] / weights[1], torch.full((2,), 100.0), rtol=1e-4, atol=0)


@both
def test_descriptors_that_are_all_alike_are_refused(version):
    for n, clusters in ((4, 4), (50, 4), (1000, 64)):
        alike = np.repeat(unit_rows(1, 8), n, axis=0)
        net = NetVLAD(8, clusters, version)
        with pytest.raises(ModelError, match="all alike"):
            net.initialise(kmeans(alike, clusters), alike)
        assert not net.ready
        assert net.weight.isnan().all()


def test_there_is_no_third_version():
    with pytest.raises(ModelError, match="version 3 does not exist; choose 1 or 2"):
        NetVLAD(8, 4, version=3)


# -- what the layer promises ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: NetVLAD(8, 4), lambda: NetVLAD(8, 4, version=2), lambda: VLAD(8, 4)])
def test_without_centres_it_refuses_to_run(make):
    net = make()
    assert not net.ready
    for mode in (net.train(), net.eval()):
        with pytest.raises(ModelError, match="no cluster centres yet"):
            mode(torch.rand(1, 8, 2, 2))


@pytest.mark.parametrize("make", [lambda: fitted(1), lambda: fitted(2), lambda: hard(16)[0]], ids=["v1", "v2", "hard"])
def test_a_vector_does_not_depend_on_its_batch(make):
    net = make()
    x = torch.randn(5, 16, 7, 9, generator=torch.Generator().manual_seed(3))
    together = net(x)
    for i in range(5):
        torch.testing.assert_close(net(x[i : i + 1])[0], together[i], rtol=0, atol=1e-6)
    torch.testing.assert_close(net(x.contiguous(memory_format=torch.channels_last)), together, rtol=0, atol=1e-6)
    torch.testing.assert_close(net(x.transpose(2, 3)), together, rtol=0, atol=1e-6)  # nor on the order of locations
    torch.testing.assert_close(net(1000 * x), together, rtol=0, atol=1e-6)  # nor on the contrast


@both
def test_a_black_photo(version):
    # every local descriptor is zero: its assignment is softmax(b), its residual -c
    net = fitted(version)
    x = torch.zeros(2, 16, 3, 3)
    x[1] = torch.randn(16, 3, 3, generator=torch.Generator().manual_seed(5))
    x.requires_grad_()
    out = net(x)
    expected = -nn.functional.normalize(net.centres, dim=1).flatten() / math.sqrt(len(net.centres))
    torch.testing.assert_close(out[0], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(out[1], net(x[1:])[0], rtol=0, atol=1e-6)
    (out * torch.randn(2, 128, generator=torch.Generator().manual_seed(6))).sum().backward()
    for grad in (x.grad, net.weight.grad, net.centres.grad):
        assert torch.isfinite(grad).all()


def test_a_single_black_location_counts_as_a_local_descriptor_of_zero():
    x, weight, centres, bias = parts(2)
    x[0, :, 1, 2] = 0
    nearly = x.clone()
    nearly[0, 0, 1, 2] = 1e-25  # far below what the norm is clamped to: still next to nothing
    net = layer(2, weight, centres, bias)
    torch.testing.assert_close(net(x), net(nearly), rtol=0, atol=1e-12)
    assert torch.isfinite(net(x)).all()


@both
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_aggregated_in_single(version, dtype):
    net = fitted(version)
    x = torch.randn(3, 16, 6, 6, generator=torch.Generator().manual_seed(4))
    exact = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(x.to(dtype))
        torch.testing.assert_close(net(x), exact, rtol=0, atol=0)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, net(x.to(dtype).float()), rtol=0, atol=1e-6)
    assert (out * exact).sum(dim=1).min() > 0.9995


# -- saved and loaded -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: fitted(1), lambda: fitted(2), lambda: hard(16)[0]], ids=["v1", "v2", "hard"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_loaded_layer_is_ready(make, nested):
    old = make()
    new = type(old)(16, 8, *([old.version] if isinstance(old, NetVLAD) else []))
    if nested:
        nn.Sequential(nn.Identity(), new).load_state_dict(nn.Sequential(nn.Identity(), old).state_dict())
    else:
        new.load_state_dict(old.state_dict())
    assert new.ready
    x = torch.randn(2, 16, 3, 3, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(new(x), old(x), rtol=0, atol=0)


@pytest.mark.parametrize("make", [lambda: NetVLAD(16, 8), lambda: VLAD(16, 8)])
def test_a_state_without_centres_stays_unready(make):
    new = make()
    new.load_state_dict(make().state_dict())
    assert not new.ready
    was_ready = fitted(1) if isinstance(new, NetVLAD) else hard(16)[0]
    was_ready.load_state_dict(new.state_dict())
    assert not was_ready.ready


# -- hard assignment ------------------------------------------------------------------------------------------------


def hard(dim: int, clusters: int = 8) -> tuple[VLAD, np.ndarray]:
    descriptors = unit_rows(400, dim)
    centres = kmeans(descriptors, clusters)
    net = VLAD(dim, clusters)
    net.initialise(centres, descriptors)
    return net, centres


def test_hard_vlad_by_hand():
    net, centres = hard(6, clusters=5)
    x = np.random.default_rng(8).normal(size=(3, 6, 4, 5)).astype(np.float32)
    for image, out in zip(x, net(torch.from_numpy(x)).numpy(), strict=True):
        sums = np.zeros((5, 6))
        for h in range(4):
            for w in range(5):
                local = image[:, h, w] / np.linalg.norm(image[:, h, w])
                nearest = min(range(5), key=lambda k: np.sum((local - centres[k]) ** 2))
                sums[nearest] += local - centres[nearest]
        sums /= np.linalg.norm(sums, axis=1, keepdims=True)
        np.testing.assert_allclose(out, sums.ravel() / np.linalg.norm(sums), rtol=1e-4, atol=1e-6)


def test_hard_vlad_takes_the_nearest_centre_not_the_largest_product():
    net = VLAD(2, 2)
    net.initialise(np.array([[2.0, 0.0], [0.5, 0.5]]), np.zeros((0, 2)))
    out = net(torch.tensor([1.0, 0.2]).view(1, 2, 1, 1))[0]  # nearest (0.5, 0.5); the other has the larger product
    local = np.array([1.0, 0.2]) / np.hypot(1.0, 0.2) - 0.5
    np.testing.assert_allclose(out, [0, 0, *(local / np.linalg.norm(local))], atol=1e-6)


def test_a_centre_that_nothing_is_near_stays_zero():
    net = VLAD(2, 3)
    net.initialise(np.array([[1.0, 0.0], [0.0, 1.0], [-9.0, -9.0]]), np.zeros((0, 2)))
    out = net(torch.tensor([[[0.8]], [[0.6]]])[None])[0].view(3, 2)
    assert not out[1:].any()
    np.testing.assert_allclose(out[0], np.array([-0.2, 0.6]) / math.hypot(0.2, 0.6), rtol=1e-5)


@both
def test_a_sharp_soft_assignment_is_the_hard_one(version):
    descriptors = unit_rows(400, 16)
    unit = kmeans(descriptors, 8)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)  # of one length: largest cosine and nearest are the same
    soft, plain = NetVLAD(16, 8, version), VLAD(16, 8)
    for net in (soft, plain):
        net.initialise(unit, descriptors)
    with torch.no_grad():
        soft.weight.mul_(1e6)
        if soft.bias is not None:
            soft.bias.mul_(1e6)
    x = torch.from_numpy(descriptors[:60].T.reshape(1, 16, 6, 10).copy())
    torch.testing.assert_close(soft(x), plain(x), rtol=0, atol=1e-4)


# -- k-means --------------------------------------------------------------------------------------------------------


def test_kmeans_finds_the_means_of_clear_groups():
    rng = np.random.default_rng(9)
    groups = [rng.normal(size=(40 + 20 * i, 4)) * 0.01 + 5 * np.eye(4)[i] for i in range(3)]
    found = kmeans(np.concatenate(groups), 3)
    assert found.dtype == np.float32
    assert found.shape == (3, 4)
    np.testing.assert_allclose(found[found.argmax(axis=1).argsort()], [g.mean(axis=0) for g in groups], atol=1e-5)


def test_kmeans_ends_where_each_centre_is_the_mean_of_its_own():
    x = unit_rows(500, 8)
    centres = kmeans(x, 6)
    nearest = ((x[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_allclose(centres, [x[nearest == k].mean(axis=0) for k in range(6)], atol=1e-4)


def test_kmeans_is_repeatable():
    x = unit_rows(500, 8)
    np.testing.assert_array_equal(kmeans(x, 6, seed=3), kmeans(x, 6, seed=3))
    assert not np.array_equal(kmeans(x, 6, seed=3), kmeans(x, 6, seed=4))


@pytest.mark.parametrize(
    ("n", "clusters", "reason"),
    [(10, 1, "1 cluster centres make no assignment"), (10, 0, "choose at least 2"), (10, -3, "choose at least 2"),
     (7, 8, "8 cluster centres need as many local descriptors, got 7")],
)  # fmt: skip
def test_kmeans_refuses(n, clusters, reason):
    with pytest.raises(ModelError, match=reason):
        kmeans(unit_rows(n, 4), clusters)


def test_as_many_descriptors_as_centres():
    x = unit_rows(8, 4)
    found = kmeans(x, 8)
    np.testing.assert_allclose(found[np.lexsort(found.T)], x[np.lexsort(x.T)], atol=1e-6)
