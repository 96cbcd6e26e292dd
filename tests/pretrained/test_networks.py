from __future__ import annotations

import shutil

import numpy as np
import pytest
import scipy.io

from netvlad.errors import ModelError
from netvlad.pretrained import networks
from netvlad.pretrained.catalogue import NETWORKS
from netvlad.pretrained.listing import listed_models
from netvlad.pretrained.matconvnet import import_matconvnet
from netvlad.pretrained.zoo import load

NAME = "vgg16-netvlad-pitts30k"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NETVLAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(networks, "download", lambda *a, **o: pytest.fail("nothing is to be fetched"))
    return tmp_path / "cache"


@pytest.fixture
def mat(tmp_path, authors):
    scipy.io.savemat(tmp_path / "small.mat", {"net": authors()})
    return tmp_path / "small.mat"


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("file", NETWORKS[NAME].files)
def test_a_file_of_the_authors_in_the_weights_folder(folder, cache, mat, file):
    shutil.copy(mat, folder / file)
    model = load(NAME, resize=None)
    assert (model.name, model.resize, model.dim) == (NAME, None, 4)
    np.testing.assert_array_equal(model.describe([image()]), import_matconvnet(mat).describe([image()]))
    assert load(NAME, dim=2).dim == 2
    assert not cache.exists()
    assert next(m.here for m in listed_models() if m.name == NAME) == "here"


def test_an_imported_folder_goes_before_all(folder, cache, mat):
    import_matconvnet(mat, name=NAME).save(folder / NAME)
    assert load(NAME, resize=320).resize == 320
    assert next(m.here for m in listed_models() if m.name == NAME) == "here"


def test_a_network_is_fetched_and_imported_once(folder, cache, mat, monkeypatch):
    asked = []

    def download(url, file, *, sha256_hex):
        asked.append((url, file, sha256_hex))
        file.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy(mat, file) and file

    monkeypatch.setattr(networks, "download", download)
    first = load(NAME)
    second = load(NAME)
    assert asked == [(NETWORKS[NAME].url, cache / "Pitts30K_struct.mat", None)]
    assert [f.name for f in cache.iterdir()] == ["models"]
    assert first.identity == second.identity
    assert second.backbone.provenance["source"] == NETWORKS[NAME].url
    assert len(second.backbone.provenance["sha256"]) == 64
    assert next(m.here for m in listed_models() if m.name == NAME) == "here"


def test_without_a_connection_it_says_what_to_put_where(folder, cache, monkeypatch):
    def offline(url, *args, **options):
        raise ModelError(f"{url}: Name or service not known")

    monkeypatch.setattr(networks, "download", offline)
    with pytest.raises(ModelError) as error:
        load(NAME)
    for part in (NAME, "Name or service not known", NETWORKS[NAME].files[0], NETWORKS[NAME].page, "NETVLAD_WEIGHTS"):
        assert part in str(error.value)


def test_a_network_whose_address_is_not_known(folder, cache):
    with pytest.raises(ModelError, match=r"no address of its file is known; put vd16_pitts30k_conv5_3_max\.mat from"):
        load("vgg16-max-pitts30k")
    assert next(m.here for m in listed_models() if m.name == "vgg16-max-pitts30k") == "by hand"
