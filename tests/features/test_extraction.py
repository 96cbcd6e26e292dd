from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from netvlad.features.extraction import CHUNK, rootsift, sift_of, sift_store
from netvlad.features.store import FeatureStore


class Deadly(FeatureStore):
    """Takes its process down at a photo called so."""

    def of(self, path):
        if "deadly" in path:
            os._exit(9)
        return super().of(path)


@pytest.fixture
def textures(tmp_path):
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i:02d}.png") for i in range(2 * CHUNK + 3)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16), dtype=np.uint8))
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(path)
    return paths


@pytest.mark.parametrize("workers", [0, 2])
def test_in_order_with_reasons(textures, workers):
    textures[5] = "/nowhere/5.png"
    found = list(sift_of(textures, sift_store(), workers=workers))
    assert [photo.row for photo in found] == list(range(len(textures)))
    assert [photo.reason for photo in found] == [""] * 5 + ["no such file"] + [""] * (len(textures) - 6)
    assert found[5].descriptors.shape == (0, 128)
    for row in (0, CHUNK, 2 * CHUNK + 2):
        expected = FeatureStore("sift").of(textures[row]).descriptors
        np.testing.assert_array_equal(found[row].descriptors, expected)
        assert found[row].descriptors.dtype == np.uint8
        assert len(expected) > 5


def test_a_photo_that_kills_its_process(textures, tmp_path, monkeypatch):
    monkeypatch.setattr("netvlad.features.extraction.CHUNK", 3)
    photos = [textures[0], str(tmp_path / "deadly.png"), *textures[2:5]]
    found = list(sift_of(photos, Deadly("sift", memory=0), workers=1))
    assert [photo.row for photo in found] == list(range(5))
    assert found[1].reason == "finding its features crashed"
    assert all(len(found[row].descriptors) > 5 for row in (0, 2, 3, 4))


def test_no_photos():
    assert list(sift_of([], sift_store())) == []


def test_rootsift_of_several_photos(textures):
    expected = np.concatenate([FeatureStore("rootsift").of(path).descriptors for path in textures[:2]])
    found = [photo.descriptors for photo in sift_of(textures[:2], sift_store(), workers=0)]
    np.testing.assert_array_equal(rootsift(found), expected)
    assert rootsift([]).shape == (0, 128)
