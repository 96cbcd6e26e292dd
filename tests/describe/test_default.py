from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import netvlad
from netvlad.describe.default import DefaultNetVLAD, packaged_normalisation
from netvlad.describe.fit import fit
from netvlad.errors import ModelError
from netvlad.training.run import train


@pytest.fixture(autouse=True)
def _nothing_but_the_package(monkeypatch):
    """What the package brings has to do, whatever else is on the machine."""
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((128, 96)).save(folder / f"{i}.png")
    return sorted(map(str, folder.iterdir()))


@pytest.fixture(scope="module")
def fitted(photos):
    return fit(DefaultNetVLAD(clusters=8), photos[:5], workers=0)


def test_it_cannot_describe_before_it_is_fitted(photos):
    model = netvlad.load("default")
    assert isinstance(model, DefaultNetVLAD)
    assert not model.ready
    assert model.dim == 512
    with pytest.raises(ModelError):
        model.save("anywhere")


def test_a_few_photos_are_enough(fitted, photos):
    vectors = fitted.describe(photos)
    assert vectors.shape == (6, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert (vectors @ vectors.T).argmax(1).tolist() == list(range(6))


def test_saved_it_describes_alike(fitted, photos, tmp_path):
    fitted.save(tmp_path / "model")
    again = netvlad.load(tmp_path / "model")
    assert again.identity == fitted.identity
    np.testing.assert_array_equal(again.describe(photos), fitted.describe(photos))


def test_it_is_fitted_anew_on_other_photos(fitted, photos):
    before = fitted.identity
    fit(fitted, photos[3:], workers=0)
    assert fitted.identity != before
    assert fitted.dim == 512


def test_fewer_numbers_on_request(photos):
    model = fit(netvlad.load("default", dim=128, clusters=8), photos[:5], workers=0)
    assert model.describe(photos[:1]).shape == (1, 128)


def test_it_is_refused_where_it_makes_no_sense():
    with pytest.raises(ModelError):
        netvlad.load("default", stage="blocks.3")
    with pytest.raises(ModelError):
        netvlad.load("default", dim=100_000)


def test_it_is_fitted_and_not_trained(photos):
    places = netvlad.Places.build(path=photos, lat=1.0, lon=2.0)
    with pytest.raises(ModelError, match="tf_efficientnet_lite0"):
        train("default", (places, places))


def test_the_packaged_normalisation_attenuates():
    local = packaged_normalisation(112)
    gains = local.gains.numpy()
    assert ((gains > -1) & (gains < 0)).all()
    np.testing.assert_allclose(local.directions.numpy() @ local.directions.numpy().T, np.eye(len(gains)), atol=1e-4)
