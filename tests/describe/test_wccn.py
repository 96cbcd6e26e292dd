from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import netvlad
from netvlad.describe import wccn as module
from netvlad.describe.wccn import WCCN, fit_cameras, fit_local, fit_wccn, fixed_cameras, window
from netvlad.errors import ModelError, PlacesError
from netvlad.images.read import read_image
from netvlad.places import Places


def classes_of_vectors(n: int, d: int, classes: int, seed: int = 0):
    """Vectors of classes whose members differ along few directions: (n, d) float32 and (n,)."""
    rng = np.random.default_rng(seed)
    of = np.arange(n) % classes
    x = rng.normal(size=(classes, d))[of] + rng.normal(size=(n, 3)) * [3, 2, 1] @ rng.normal(size=(3, d))
    x += 0.3 * rng.normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), of


def plain(vectors: np.ndarray, classes: np.ndarray, new: np.ndarray, least: float = 0.0) -> np.ndarray:
    """(S + a I)^(-1/2) in full, in double precision, from a loop over the classes."""
    d = vectors.shape[1]
    scatter = np.zeros((d, d))
    for name in set(classes.tolist()):
        own = vectors[classes == name].astype(np.float64)
        scatter += (own - own.mean(axis=0)).T @ (own - own.mean(axis=0))
    s, u = np.linalg.eigh(scatter / (len(vectors) - len(set(classes.tolist()))))
    ridge = s[s > s[-1] * 1e-10].mean()
    gain = np.sqrt(ridge / (np.maximum(s, 0) + ridge))
    gain[gain > 1 - least] = 1
    out = new.astype(np.float64) @ (u * gain) @ u.T
    return out / np.linalg.norm(out, axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "d"), [(120, 16), (18, 40), (30, 30)])
def test_equals_the_full_matrix(n, d):
    x, of = classes_of_vectors(n, d, 6)
    new = classes_of_vectors(10, d, 5, seed=1)[0]
    whitening = fit_wccn(x, of)
    found = whitening(torch.from_numpy(new)).numpy()
    np.testing.assert_allclose(found, plain(x, of, new, least=0.1), atol=2e-5)
    assert whitening.dim == d
    assert 0 < len(whitening.gains) < min(d, n - 6)  # what changes little is not stored
    assert whitening.gains.max() <= -0.1
    np.testing.assert_allclose(whitening.directions @ whitening.directions.T, np.eye(len(whitening.gains)), atol=1e-5)


def test_two_numbers_by_hand():
    # the two classes vary along (1, 0) only: S = diag(2, 0), ridge 2, gain sqrt(2 / 4) - 1
    x, of = np.array([[1.0, 0], [-1, 0], [1, 5], [-1, 5]]), np.array([7, 7, 9, 9])
    whitening = fit_wccn(x, of)
    np.testing.assert_allclose(whitening.directions.abs(), [[1, 0]], atol=1e-6)
    np.testing.assert_allclose(whitening.gains, [np.sqrt(0.5) - 1], rtol=1e-6)
    out = np.array([np.sqrt(0.5), 1])
    np.testing.assert_allclose(whitening(torch.tensor([[1.0, 1.0]])), [out / np.linalg.norm(out)], rtol=1e-6)


def test_members_of_a_class_come_nearer():
    x, of = classes_of_vectors(200, 24, 40)
    whitening = fit_wccn(x[of < 20], of[of < 20])
    x, of = x[of >= 20], of[of >= 20]

    def nearest_is_of_the_class(v):
        s = v @ v.T
        np.fill_diagonal(s, -2)
        return (of[s.argmax(axis=1)] == of).mean()

    assert nearest_is_of_the_class(whitening(torch.from_numpy(x)).numpy()) > nearest_is_of_the_class(x) + 0.2


def test_photos_that_are_all_alike_say_nothing():
    with pytest.raises(ModelError, match="all alike"):
        fit_wccn(np.eye(3)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]))
    with pytest.raises(ModelError, match="all alike"):
        fit_wccn(np.eye(3), np.arange(3))


def test_no_number_can_be_cut():
    with pytest.raises(ModelError, match="keep all their 5 numbers"):
        WCCN(5, 2).cropped(3)


def test_windows():
    image = np.arange(10 * 8 * 3, dtype=np.uint8).reshape(10, 8, 3)
    np.testing.assert_array_equal(window(image, 0.5, 0.2, 0.5), image[2:7, 4:8])
    np.testing.assert_array_equal(window(image, 0.5, 0.6, 0.6), image[5:, 4:])  # rounded, it still lies inside
    assert window(image, 0.1, 0.9, 0.9, least=4).shape == (4, 4, 3)
    assert window(image, 0.1, 0.9, 0.9, least=20).shape == (10, 8, 3)


@pytest.fixture
def cameras(photos, tmp_path) -> Places:
    """Three cameras of four photos each, of three sizes."""
    table = tmp_path / "cameras.csv"
    rows = [f"{p},cam{i}" for i in range(3) for p in photos(4, seed=i, size=(96 + 16 * i, 72))]
    table.write_text("\n".join(["path,place", *rows]) + "\n")
    return netvlad.read_places(table)


def test_of_fixed_cameras(cameras, photos, weights, tmp_path):
    paths = photos(6, seed=9, size=(96, 72))
    model = netvlad.fit(netvlad.load("test_resnet-netvlad", clusters=4), paths)
    before = model.describe(paths)
    assert fit_cameras(model, cameras.path, cameras.place, seed=3, workers=0) is model
    after = model.describe(paths)
    assert after.shape == before.shape
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(after, model.whitening(torch.from_numpy(before)), atol=1e-5)
    assert np.abs(after - before).max() > 1e-3
    assert (model.fitted_on["cameras"], model.fitted_on["camera_photos"]) == (3, 12)
    model.save(tmp_path / "m")
    again = netvlad.load(tmp_path / "m")
    assert again.identity == model.identity
    np.testing.assert_array_equal(again.describe(paths), after)
    with pytest.raises(ModelError, match="whitened already"):
        fit_cameras(model, cameras.path, cameras.place)
    with pytest.raises(ModelError, match="keep all their"):
        model.crop(2)


def test_other_describers_take_it_too(cameras, photos):
    paths = photos(6, seed=9, size=(96, 72))
    model = netvlad.fit(netvlad.load("densevlad", clusters=4), paths)
    before = model.describe(paths)
    fit_cameras(model, cameras.path, cameras.place, workers=0)
    np.testing.assert_allclose(model.describe(paths), model.whitening(torch.from_numpy(before)), atol=1e-5)


def test_a_camera_wants_two_photos(cameras):
    assert [rows.tolist() for rows in fixed_cameras(cameras.place)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert [rows.tolist() for rows in fixed_cameras(["b", "", "a", "b", "a", "", "c"])] == [[2, 4], [0, 3]]
    three = cameras[[0, 4, 8]]
    with pytest.raises(PlacesError, match="no fixed camera with two photos"):
        fit_cameras(netvlad.load("densevlad", clusters=4), three.path, three.place)


def test_photos_that_cannot_be_read_are_left_out(cameras, photos, weights):
    paths = photos(6, seed=9, size=(96, 72))
    bad = cameras.path[5]
    Path(bad).write_bytes(b"no photo")
    model = netvlad.fit(netvlad.load("test_resnet-max"), paths)
    fit_cameras(model, cameras.path, cameras.place, seed=1, workers=0)
    assert torch.isfinite(model.whitening.directions).all()
    np.testing.assert_allclose(np.linalg.norm(model.describe(paths), axis=1), 1, atol=1e-5)


def test_local_descriptors_of_fixed_cameras(cameras, photos, weights, tmp_path):
    paths = photos(6, seed=9, size=(96, 72))
    model = netvlad.load("test_resnet-netvlad", clusters=4)
    raw = [model.maps(model.prepare(x)) for x in (np.array(read_image(p))[None] for p in cameras.path)]
    assert fit_local(model, cameras.path, cameras.place, seed=3, workers=0) is model
    d = model.backbone.dim
    scatter, freedom = np.zeros((d, d)), 0
    for i in range(0, 12, 4):  # plainly: each location of each camera is a class
        own = np.stack([m[0].detach().double().numpy() for m, _ in raw[i : i + 4]])
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        for y in range(own.shape[2]):
            for x in range(own.shape[3]):
                apart = own[:, :, y, x] - own[:, :, y, x].mean(axis=0)
                scatter += apart.T @ apart
                freedom += 3
    s, u = np.linalg.eigh(scatter / freedom)
    ridge = 0.3 * s[s > s[-1] * 1e-10].mean()
    gain = np.sqrt(ridge / (np.maximum(s, 0) + ridge))
    gain[gain > 0.9] = 1
    expected = np.einsum("oc,chw->ohw", (u * gain) @ u.T, raw[0][0][0].detach().double().numpy())
    found = model.maps(model.prepare(np.array(read_image(cameras.path[0]))[None]))[0][0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())

    before = netvlad.fit(netvlad.load("test_resnet-netvlad", clusters=4), paths).identity
    netvlad.fit(model, paths)
    assert model.identity != before
    model.save(tmp_path / "m")
    again = netvlad.load(tmp_path / "m")
    assert again.identity == model.identity
    np.testing.assert_array_equal(again.describe(paths), model.describe(paths))
    with pytest.raises(ModelError, match="has centres already"):
        fit_local(model, cameras.path, cameras.place)


def test_only_networks_with_centres_have_local_descriptors_to_adjust(cameras, weights):
    for name in ("test_resnet-max", "densevlad"):
        with pytest.raises(ModelError, match="with VLAD pooling only"):
            fit_local(netvlad.load(name), cameras.path, cameras.place)


def test_no_photo_that_can_be_read(cameras, weights):
    for path in cameras.path:
        Path(path).write_bytes(b"no photo")
    with pytest.raises(ModelError, match="that can be read are all alike"):
        fit_cameras(netvlad.load("test_resnet-max"), cameras.path, cameras.place, workers=0)
    with pytest.raises(ModelError, match="that can be read are all alike"):
        fit_local(netvlad.load("test_resnet-netvlad", clusters=4), cameras.path, cameras.place, workers=0)


def test_of_very_many_cameras_some_are_drawn(cameras, weights, monkeypatch):
    monkeypatch.setattr(module, "MOST", 16)  # two cameras of two photos in four windows
    model = fit_cameras(netvlad.load("test_resnet-max"), cameras.path, cameras.place, workers=0)
    assert (model.fitted_on["cameras"], model.fitted_on["camera_photos"]) == (2, 4)
