from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA

import netvlad
from netvlad.describe import fit as module
from netvlad.describe.fit import fit, sample_locals
from netvlad.describe.stream import describe_all
from netvlad.errors import ModelError
from netvlad.images.read import read_image


@pytest.fixture
def new(weights):
    return lambda pooling="netvlad": netvlad.load(f"test_resnet-{pooling}", clusters=4)


@torch.no_grad()
def local_descriptors(model, path) -> np.ndarray:
    """All of a photo's, (locations, D), by hand."""
    maps = model.backbone(model.prepare(np.stack([read_image(path)])))[0].flatten(1).T.numpy()
    return maps / np.linalg.norm(maps, axis=1, keepdims=True)


def rows_of(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Which row of `whole` each row of `part` is."""
    distance = np.abs(part[:, None] - whole[None]).max(axis=2)
    assert distance.min(axis=1).max() < 1e-5
    return distance.argmin(axis=1)


# -- the sample of local descriptors ----------------------------------------------------------------------------------


def test_few_photos_give_all_they_have(new, photos):
    model, paths = new(), photos(3)
    found = sample_locals(model, paths)
    assert found.shape == (3 * 5 * 6, 192)  # 96x72 at a stride of 16
    assert found.dtype == np.float32
    everything = np.concatenate([local_descriptors(model, path) for path in paths])
    assert sorted(rows_of(found, everything)) == list(range(90))


def test_many_photos_give_the_same_number_each(new, photos, monkeypatch):
    monkeypatch.setattr(module, "DESCRIPTORS", 40)
    monkeypatch.setattr(module, "PHOTOS", 4)
    model, paths = new(), photos(9)
    found = sample_locals(model, paths, seed=5)
    assert found.shape == (40, 192)
    rows = rows_of(found, np.concatenate([local_descriptors(model, path) for path in paths]))
    assert len(set(rows)) == 40  # none twice
    photo, count = np.unique(rows // 30, return_counts=True)
    assert len(photo) == 4
    assert count.tolist() == [10] * 4
    np.testing.assert_array_equal(sample_locals(model, paths, seed=5), found)
    other = rows_of(sample_locals(model, paths, seed=6), np.concatenate([local_descriptors(model, p) for p in paths]))
    assert set(other) != set(rows)


def test_the_sample_of_a_photo_does_not_depend_on_the_others(new, photos, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "DESCRIPTORS", 40)
    model, paths = new(), photos(4)
    found = sample_locals(model, paths).reshape(4, 10, 192)
    paths[1] = str(tmp_path / "nowhere.jpg")
    paths[2] = photos(1, (64, 96), seed=7)[0]  # of another size: another batch
    again = sample_locals(model, paths)
    assert len(again) == 30
    np.testing.assert_allclose(again[rows_of(found[0], again)], found[0], atol=1e-5)
    np.testing.assert_allclose(again[rows_of(found[3], again)], found[3], atol=1e-5)


def test_undefined_parts_give_none(new, photos, tmp_path):
    model, (plain,) = new(), photos(1, (96, 80))  # a map of 5 x 6
    view = tmp_path / "view.png"
    pixels = np.dstack([read_image(plain), np.full((80, 96), 255, dtype=np.uint8)])
    pixels[:48, 32:64, 3] = 0  # 3 x 2 cells
    Image.fromarray(pixels).save(view)
    found = sample_locals(model, [str(view), plain])
    assert len(found) == 24 + 30
    with torch.no_grad():
        filled = read_image(view, alpha=True)[None, ..., :3]
        maps = torch.nn.functional.normalize(model.backbone(model.prepare(filled))[0], dim=0)
    left = np.ones((5, 6), dtype=bool)
    left[:3, 2:4] = False
    assert sorted(rows_of(found[:24], maps.flatten(1).T.numpy())) == np.flatnonzero(left).tolist()
    assert sorted(rows_of(found[24:], local_descriptors(model, plain))) == list(range(30))


def test_the_authors_numbers():
    assert (module.DESCRIPTORS, module.PHOTOS, module.WHITENING_PHOTOS) == (50_000, 500, 10_000)


# -- fit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["netvlad", "netvlad2", "vlad"])
def test_centres_are_means_of_their_local_descriptors(new, photos, pooling):
    model, paths = new(pooling), photos(6)
    assert fit(model, paths) is model
    assert model.ready
    x = np.concatenate([local_descriptors(model, path) for path in paths])
    centres = model.pooling.centres.detach().numpy()
    nearest = ((x[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_allclose(centres, [x[nearest == k].mean(axis=0) for k in range(4)], atol=1e-4)
    assert model.fitted_on == {"photos_given": 6, "seed": 0, "local_descriptors": 180}


def test_the_soft_assignment_is_the_papers(new, photos):
    model, paths = new(), photos(6)
    fit(model, paths)
    x = np.concatenate([local_descriptors(model, path) for path in paths]).astype(np.float64)
    centres = model.pooling.centres.detach().numpy().astype(np.float64)
    unit = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    cosines = np.sort(x @ unit.T, axis=1)
    alpha = -np.log(0.01) / (cosines[:, -1] - cosines[:, -2]).mean()
    np.testing.assert_allclose(model.pooling.weight.detach(), alpha * unit, rtol=1e-3, atol=1e-3 * alpha)


def test_the_same_however_it_is_computed(new, photos):
    paths = photos(20)
    models = [fit(new(), paths, whiten=6, seed=seed, workers=workers) for seed, workers in ((1, 0), (1, 2), (2, 0))]
    assert models[0].identity == models[1].identity
    assert models[0].identity != models[2].identity


def test_unreadable_photos_are_left_out(new, photos, tmp_path):
    good = photos(8)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    model = fit(new(), [str(bad), *good, str(tmp_path / "nowhere.jpg")], whiten=3)
    assert model.fitted_on["local_descriptors"] == 8 * 30
    assert model.fitted_on["whitening_photos"] == 8
    assert model.fitted_on["photos_given"] == 10
    assert np.isfinite(model.describe(good)).all()


def test_photos_that_are_too_small_are_left_out(new, photos):
    model = fit(new(), [*photos(8), *photos(1, (15, 40), seed=3)], whiten=3)
    assert model.fitted_on["local_descriptors"] == 8 * 30
    assert model.fitted_on["whitening_photos"] == 8
    with pytest.raises(ModelError, match="none of the 1 photos drawn could be read"):
        fit(new(), photos(1, (15, 40)))


def test_whitening_is_that_of_the_vectors(new, photos):
    paths = photos(20)
    plain, white = fit(new(), paths), fit(new(), paths, whiten=6)
    vectors, bad = describe_all(plain, paths)
    assert not bad
    assert (plain.dim, white.dim) == (4 * 192, 6)
    expected = PCA(6, whiten=True, svd_solver="full").fit_transform(vectors.astype(np.float64))
    found = white.describe(paths)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=2e-3)


def test_whitening_draws_its_photos(new, photos, monkeypatch):
    monkeypatch.setattr(module, "WHITENING_PHOTOS", 7)
    model = fit(new("max"), photos(20), whiten=3)
    assert model.fitted_on["whitening_photos"] == 7
    assert model.identity == fit(new("max"), photos(20), whiten=3).identity
    assert model.identity != fit(new("max"), photos(20), whiten=3, seed=1).identity


def test_fitted_anew(new, photos):
    once = fit(new(), photos(20), whiten=6)
    again = fit(fit(new(), photos(20, seed=3), whiten=9), photos(20), whiten=6)
    assert once.identity == again.identity
    assert once.fitted_on == again.fitted_on
    assert fit(again, photos(20)).dim == 4 * 192  # whitened no more


@pytest.mark.parametrize(("pooling", "needs"), [("max", False), ("gem", False), ("vlad", True), ("netvlad", True)])
def test_which_networks_need_centres(new, pooling, needs):
    model = new(pooling)
    assert model.needs_centres is needs
    model.fitted_on["training"] = {"epochs": 3}
    assert not model.needs_centres


def test_centres_given_by_hand(new, photos):
    model = new("vlad")
    centres = np.eye(4, 192, dtype=np.float32)
    model.set_centres(centres, centres)
    assert model.ready
    np.testing.assert_array_equal(model.pooling.centres, centres)
    with pytest.raises(ModelError, match="test_resnet-max: max pooling has no cluster centres"):
        new("max").set_centres(centres, centres)


@pytest.mark.parametrize("learnt", ["training", "sessionID"])
def test_a_trained_model_keeps_its_centres_and_its_record(new, photos, learnt):
    model = fit(new(), photos(20))
    with torch.no_grad():
        for parameter in model.pooling.parameters():
            parameter += 0.01  # as training would
    model.fitted_on[learnt] = {"epochs": 3}
    before = {name: value.clone() for name, value in model.pooling.state_dict().items()}
    vectors = model.describe(photos(20))
    fit(model, photos(20), whiten=5)
    for name, value in model.pooling.state_dict().items():
        assert torch.equal(value, before[name])
    assert model.fitted_on[learnt] == {"epochs": 3}
    assert model.fitted_on["whitening_photos"] == 20
    by_hand = PCA(5, whiten=True, svd_solver="full").fit_transform(vectors.astype(np.float64))
    by_hand /= np.linalg.norm(by_hand, axis=1, keepdims=True)
    found = model.describe(photos(20))
    np.testing.assert_allclose(np.abs(found), np.abs(by_hand), atol=2e-3)  # up to each axis' sign


def test_fitting_amid_training_is_the_same(new, photos):
    plain, training = new(), new().train()
    assert fit(training, photos(14), whiten=5).identity == fit(plain, photos(14), whiten=5).identity
    assert training.training


def test_max_pooling_has_nothing_to_fit(new, photos):
    model = new("max")
    before = model.identity
    assert fit(model, photos(3)).identity == before
    assert model.fitted_on == {"photos_given": 3, "seed": 0}


def test_too_little_to_fit_on(new, photos, tmp_path):
    with pytest.raises(ModelError, match="test_resnet-netvlad cannot be fitted: no photos were given"):
        fit(new(), [])
    with pytest.raises(ModelError, match="none of the 2 photos drawn could be read"):
        fit(new(), [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")])
    with pytest.raises(ModelError, match="4 cluster centres need as many local descriptors, got 2"):
        fit(new(), photos(1, (32, 16)))
    with pytest.raises(ModelError, match="there are 5 photos: choose 1 to 4"):
        fit(new(), photos(5), whiten=5)
    with pytest.raises(ModelError, match="there are 0 photos"):
        fit(new("max"), [str(tmp_path / "a.jpg")], whiten=1)


def test_photos_that_are_all_alike(new, photos):
    (path,) = photos(1)
    with pytest.raises(ModelError, match="span only 0 dimensions"):
        fit(new("max"), [path] * 5, whiten=2)
    blank = Path(path).with_name("blank.png")
    from PIL import Image

    Image.new("RGB", (16, 16)).save(blank)  # one local descriptor
    with pytest.raises(ModelError, match="all alike"):
        fit(new(), [str(blank)] * 10)
