from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import netvlad
from netvlad.describe import fixed_cameras as module
from netvlad.describe.fixed_cameras import fit_cameras, fit_local, fixed_cameras, window
from netvlad.errors import ModelError, PlacesError
from netvlad.images.read import read_image
from netvlad.places import Places


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
