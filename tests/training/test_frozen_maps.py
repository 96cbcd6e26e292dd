from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from netvlad.describe.backbone import Backbone
from netvlad.describe.network import NetworkDescriber
from netvlad.describe.wccn import WCCN
from netvlad.errors import NetvladError
from netvlad.training import frozen_maps
from netvlad.training.frozen_maps import PhotoLoader, compute_frozen_maps
from netvlad.training.split import split


@pytest.fixture
def mixed(photos, tmp_path) -> list[str]:
    """PhotoLoader of two sizes, one with a hole, one that cannot be read."""
    paths = photos(3, (64, 48)) + photos(2, (48, 80), seed=1)
    rgba = np.dstack([np.random.default_rng(0).integers(0, 256, (48, 64, 3)), np.full((48, 64), 255)]).astype(np.uint8)
    rgba[:, :32, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "hole.png")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    return [*paths, str(tmp_path / "hole.png"), str(tmp_path / "broken.jpg")]


@torch.no_grad()
def vectors(source, rows, dim, few: bool = False) -> np.ndarray:
    out = np.full((len(rows), dim), np.nan, np.float32)
    for batch in source.take_few(rows) if few else source.take(rows):
        out[batch.positions] = source.head(batch).numpy()
    return out


@pytest.mark.parametrize("pooling", ["max", "netvlad", "netvlad with adjusted maps"])
@pytest.mark.parametrize("where", ["in memory", "on disk", "both"])
def test_kept_maps_give_what_the_photos_give(network, mixed, tmp_path, pooling, where):
    model = network(pooling.partition(" ")[0])
    if "adjusted" in pooling:
        plainly = model.describe(mixed[:1])
        model.local = WCCN(model.backbone.dim, 3)
        model.local.directions.copy_(torch.eye(model.backbone.dim)[:3])
        model.local.gains.copy_(torch.tensor([-0.9, -0.8, -0.7]))
        assert np.abs(model.describe(mixed[:1]) - plainly).max() > 1e-3
    room = {"in memory": 1e9, "on disk": 0, "both": 30_000}[where]
    folder = tmp_path / "maps"
    folder.mkdir()
    kept = compute_frozen_maps(
        model, split(model.backbone, "layer3"), mixed, memory=room, folder=str(folder), storage="float32"
    )
    assert kept.kept == ("in memory" if where == "in memory" else "on disk")
    if where == "both":
        assert 0 < kept.bytes <= 30_000
    plain = PhotoLoader(model, mixed)
    rows = [5, 0, 4, 6, 2, 1, 3]
    expected = model.describe([mixed[row] for row in rows if row != 6])
    for source in (kept, plain):
        found = vectors(source, rows, model.dim)
        assert np.isnan(found).all(1).tolist() == [row == 6 for row in rows]
        np.testing.assert_allclose(np.delete(found, 3, axis=0), expected, atol=2e-6)
        assert list(source.unreadable) == [6]
    np.testing.assert_allclose(vectors(plain, rows, model.dim, few=True), vectors(plain, rows, model.dim), atol=2e-6)
    assert not list(folder.iterdir())  # no file is left behind


def test_half_precision_is_near(network, mixed):
    model = network("max")
    kept = compute_frozen_maps(model, split(model.backbone, "layer2"), mixed)
    np.testing.assert_allclose(vectors(kept, range(6), model.dim), model.describe(mixed[:6]), atol=2e-3)


@pytest.mark.parametrize("start", ["layer3", "pooling", "conv1"])
def test_kept_maps_give_the_same_gradient(network, photos, start):
    model, paths = network("netvlad"), photos(4, (64, 48))
    gradients = []
    for source in (
        compute_frozen_maps(model, split(model.backbone, start), paths, storage="float32"),
        PhotoLoader(model, paths),
    ):
        model.zero_grad()
        (batch,) = source.take([2, 0, 1])
        found = source.head(batch)[np.argsort(batch.positions)]
        (found[0] @ found[1] - found[0] @ found[2]).backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    ours, whole = gradients
    assert ours
    for name in ours:
        torch.testing.assert_close(ours[name], whole[name], rtol=1e-3, atol=1e-5 * float(whole[name].abs().max()))
    assert ("backbone.body.layer3.0.conv1.weight" in ours) == (start != "pooling")


def test_no_room(network, photos, monkeypatch):
    model, paths = network("max"), photos(5, (64, 48))
    parts = split(model.backbone, "layer3")
    size = compute_frozen_maps(model, parts, paths).bytes
    assert size == 5 * 2 * parts.below(torch.zeros(1, 3, 48, 64)).numel()
    assert compute_frozen_maps(model, parts, paths, memory=size).bytes == size
    assert compute_frozen_maps(model, parts, paths, memory=size - 1) is None
    assert compute_frozen_maps(model, split(model.backbone, "layer3.0.conv2"), paths) is None


def test_a_folder_that_is_not_there(network, photos, tmp_path):
    model = network("max")
    with pytest.raises(NetvladError, match=r"nowhere: cannot keep .* \(No such file or directory\)"):
        compute_frozen_maps(model, split(model.backbone), photos(2), memory=0, folder=str(tmp_path / "nowhere"))


def test_values_beyond_half_precision(network, photos):
    model, paths = network("max"), photos(2)
    parts = split(model.backbone)
    model.backbone.body.conv1[0].weight.data *= 1e6
    model.backbone.body.layer2[-1].bn2.weight.data.fill_(1e6)
    with pytest.raises(NetvladError, match="beyond float16; choose storage float32"):
        compute_frozen_maps(model, parts, paths)
    assert compute_frozen_maps(model, parts, paths, storage="float32").kept == "in memory"
    model.backbone.body.conv1[0].weight.data[0] = float("nan")
    with pytest.raises(NetvladError, match="up to nan, beyond float32: its weights are broken"):
        compute_frozen_maps(model, parts, paths, storage="float32")


def test_no_forward_pass_takes_too_many(network, photos, monkeypatch):
    monkeypatch.setattr(frozen_maps, "AT_ONCE", 2)
    model, paths = network("max"), photos(5)
    kept = compute_frozen_maps(model, split(model.backbone), paths)
    assert [batch.positions for batch in kept.take([4, 3, 2, 1, 0])] == [[0, 1], [2, 3], [4]]
    assert list(kept.take([])) == []


def test_tokens_of_a_vit_are_kept_too(photos):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = Backbone("test_vit")
    backbone.crop()
    model = NetworkDescriber(backbone, "avg")
    paths = photos(2, (64, 48)) + photos(2, (75, 100), seed=1)  # the latter are scaled to whole patches
    kept = compute_frozen_maps(model, split(backbone, "blocks.4"), paths, storage="float32")
    np.testing.assert_allclose(vectors(kept, [3, 0, 1, 2], 64), model.describe(paths)[[3, 0, 1, 2]], atol=1e-5)
