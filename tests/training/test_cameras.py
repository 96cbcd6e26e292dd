from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

import netvlad
from netvlad.errors import PlacesError
from netvlad.training import Config, Mining, train
from netvlad.training.cameras import relations, windows
from netvlad.training.frozen_maps import Batch
from netvlad.training.trainer import Trainer


@pytest.fixture
def cameras(photos, tmp_path):
    """make(cameras, photos of each) -> the path of a table of them."""

    def make(n: int = 3, each: int = 3) -> str:
        path = tmp_path / "cameras.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "place"])
            for i in range(n):
                writer.writerows((p, f"cam{i}") for p in photos(each, seed=i, size=(96 + 16 * i, 72)))
        return str(path)

    return make


def config(**options) -> Config:
    return Config(**{"loss": "softmax", "epochs": 2, "batch": 3, "lr": 0.01, "mining": Mining(negatives=1), **options})


def test_relations_by_hand():
    camera, window = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, 2, 0])
    corner = np.array([[0.0, 0.0], [0.0, 0.0], [0.1, 0.0], [0.5, 0.5], [0.0, 0.0]])
    positive, elsewhere = relations(camera, window, corner, 0.5)
    assert np.argwhere(positive).tolist() == [[0, 1], [1, 0]]
    # window 1 shares 0.4 x 0.5 of 0.5 x 0.5 with window 0: neither the same nor elsewhere
    assert np.argwhere(elsewhere[:4, :4]).tolist() == [[0, 3], [1, 3], [2, 3], [3, 0], [3, 1], [3, 2]]
    assert elsewhere[4].tolist() == [True, True, True, True, False]


def test_windows_of_maps_and_photos():
    model = netvlad_backbone()
    x = torch.arange(2 * 8 * 10).float().view(2, 1, 8, 10)
    alpha = torch.arange(2 * 32 * 40).float().view(2, 1, 32, 40)
    batch = Batch([5, 6], x, (32, 40), alpha, kept=True)
    cut = windows(batch, model, [1, 0], np.array([[0.5, 0.0], [0.25, 0.5]]), 0.5)
    assert torch.equal(cut.x, torch.stack([x[1, :, 4:8, 0:5], x[0, :, 2:6, 5:10]]))
    assert torch.equal(cut.alpha, torch.stack([alpha[1, :, 16:, :20], alpha[0, :, 8:24, 20:]]))
    assert (cut.positions, cut.size, cut.kept) == ([0, 1], (16, 20), True)
    edge = windows(batch, model, [0], np.array([[0.5, 0.5]]), 0.49)  # rounded, it still lies inside
    assert edge.x.shape == (1, 1, 4, 5)


def netvlad_backbone():
    class Body:
        num_prefix_tokens = 1

    class Backbone:
        body, multiple = Body(), 14

    return Backbone()


def test_windows_of_tokens_keep_those_of_no_patch():
    grid = torch.arange(4 * 6).float().view(1, 4, 6, 1)
    x = torch.cat([torch.full((1, 1, 1), -1.0), grid.flatten(1, 2)], dim=1)
    cut = windows(Batch([0], x, (56, 84), kept=True), netvlad_backbone(), [0], np.array([[0.5, 0.5]]), 0.5)
    assert cut.x.flatten().tolist() == [-1, *grid[0, 2:, 3:].flatten().tolist()]
    assert cut.size == (28, 42)


@pytest.mark.parametrize("freeze", [True, False])
def test_cameras_are_learnt_beside_the_street(network, street, cameras, freeze):
    file = cameras()
    settings = {"epochs": 6, "optimizer": "adamw", "lr": 1e-2, "freeze": freeze}
    alone = train(network("netvlad"), street(4), config(**settings), workers=0).record
    record = train(network("netvlad"), street(4, seed=1), config(cameras=file, **settings), workers=0).record
    assert record.epochs[-1].loss < 0.9 * record.epochs[0].loss
    assert record.epochs[0].violating > alone.epochs[0].violating
    again = train(network("netvlad"), street(4, seed=2), config(cameras=file, **settings), workers=0).record
    assert np.isfinite(again.epochs[-1].loss)


def test_draws_depend_on_seed_epoch_and_unit_alone(network, street, cameras):
    objective = Trainer(network("netvlad"), *street(3), config(cameras=cameras())).objective
    objective.network.open()

    def of(epoch: int, unit: int) -> float:
        return objective.cameras.loss(objective.network, epoch, unit)[0].item()

    assert of(1, 2) == of(1, 2)
    assert len({of(1, 2), of(2, 2), of(1, 3)}) == 3


def test_a_run_goes_on_to_the_same_end(network, street, cameras, tmp_path, monkeypatch):
    tables, settings = street(4), config(cameras=cameras(), checkpoint_every=2, batch=2, mining=Mining(negatives=1))
    whole = network("netvlad")
    train(whole, tables, settings, workers=0)
    stopped = network("netvlad")
    step = Trainer.step
    calls = []

    def failing(self, *args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", failing)
        with pytest.raises(KeyboardInterrupt):
            train(stopped, tables, settings, out=tmp_path / "run", workers=0)
    resumed = network("netvlad")
    train(resumed, tables, settings, out=tmp_path / "run", resume=True, workers=0)
    for (name, a), (_, b) in zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def test_tables_that_are_none(network, street, cameras, photos, tmp_path):
    with pytest.raises(PlacesError, match="1 fixed cameras with two photos"):
        Trainer(network("max"), *street(3), config(cameras=cameras(1)))
    with pytest.raises(PlacesError, match="does not exist"):
        Trainer(network("max"), *street(3, seed=1), config(cameras=str(tmp_path / "none.csv")))
    broken = cameras(2)
    for path in netvlad.read_places(broken).path[:2]:
        with open(path, "wb") as file:
            file.write(b"no photo")
    record = train(network("max"), street(3, seed=2), config(cameras=broken), workers=0).record
    assert len(record.unreadable) == 2
