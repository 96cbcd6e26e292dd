from __future__ import annotations

import numpy as np
import pytest
import torch

from netvlad.training import Config, train
from netvlad.training.config import Jitter
from netvlad.training.frozen_maps import PhotoLoader
from netvlad.training.jitter import jitterer

ALL = Jitter(0.3, 0.3, 0.3, 0.3, 0.2, 0.3, 10.0, 0.2, 0.5)


def photo(channels: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = rng.integers(1, 255, (48, 64, channels), dtype=np.uint8)
    image.flags.writeable = False  # as photos come from the decoder
    return image


@pytest.mark.parametrize("name", [f for f in vars(ALL) if f != "flip"])
def test_each_kind_changes_the_photo_by_its_key_alone(name):
    jitter = Jitter(**{name: getattr(ALL, name)})
    torch.manual_seed(7)
    state = torch.get_rng_state()

    def draw(*key, position=0):
        return jitterer(jitter, *key)(position, photo())

    first = draw(0, 1, 5)
    assert first.shape[:2] == (48, 64)
    assert first.dtype == np.uint8
    assert (draw(0, 1, 5) == first).all()
    for other in (draw(1, 1, 5), draw(0, 2, 5), draw(0, 1, 6), draw(0, 1, 5, position=1)):
        assert (other[..., :3] != first[..., :3]).any()
    assert (first[..., :3] != photo()).any()
    assert torch.equal(torch.get_rng_state(), state)  # what others draw from is untouched


def test_undefined_pixels_travel_as_alpha():
    turned = jitterer(Jitter(rotation=40.0), 0, 1, 2)(0, photo())
    assert turned.shape == (48, 64, 4)
    assert set(np.unique(turned[..., 3])) == {0, 255}
    assert turned[24, 32, 3] == 255
    hole = photo(4).copy()
    hole[..., 3] = 255
    hole[:, :32, 3] = 0
    cropped = jitterer(Jitter(crop=0.5), 0, 1, 3)(0, hole)
    assert cropped.shape == (48, 64, 4)
    assert set(np.unique(cropped[..., 3])) == {0, 255}
    coloured = jitterer(Jitter(brightness=0.5), 0, 1, 3)(0, hole)
    assert (coloured[..., 3] == hole[..., 3]).all()
    assert jitterer(Jitter(brightness=0.5), 0, 1, 3)(0, photo()).shape == (48, 64, 3)


def test_a_tuple_is_mirrored_as_a_whole():
    image = photo()
    mirrored = 0
    for query in range(40):
        change = jitterer(Jitter(flip=0.5), 0, 1, query)
        found = [change(position, image) for position in range(4)]
        assert all((f == found[0]).all() for f in found)
        assert (found[0] == image).all() or (found[0] == image[:, ::-1]).all()
        mirrored += (found[0] == image[:, ::-1]).all()
    assert 8 < mirrored < 32


def test_strengths_stay_within_their_limits():
    grey = np.full((8, 8, 3), 100, np.uint8)
    found = [jitterer(Jitter(brightness=0.2), 0, 1, q)(0, grey)[0, 0, 0] for q in range(60)]
    assert 80 <= min(found) < 88
    assert 112 < max(found) <= 120
    found = np.array([jitterer(Jitter(white_balance=0.1), 0, 1, q)(0, grey)[0, 0] for q in range(60)])
    assert ((found >= 90) & (found <= 110)).all()
    assert (found.std(axis=1) > 0).any()  # each colour on its own


@pytest.mark.parametrize("freeze", [True, False])
def test_jittered_photos_come_from_their_files(network, street, monkeypatch, freeze):
    asked = []
    take = PhotoLoader.take_few
    monkeypatch.setattr(
        PhotoLoader, "take_few", lambda self, rows, change: (asked.append(change), take(self, rows, change))[1]
    )
    model = network("netvlad")
    settings = Config(epochs=1, lr=0.05, margin=0.3, freeze=freeze, jitter=ALL)
    record = train(model, street(5), settings, workers=0).record
    assert record.kept == ("in memory" if freeze else "nowhere")
    assert len(asked) == 5  # a tuple a query; refreshes see photos as they are
    assert record.epochs[0].steps == 2
    assert all(torch.isfinite(p).all() for p in model.parameters())
