from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from netvlad.errors import NetvladError
from netvlad.places import Places
from netvlad.training import Config, Mining, train
from netvlad.training.losses import softmax_loss
from netvlad.training.softmax_objective import Relations, SoftmaxObjective
from netvlad.training.trainer import Trainer


def config(**options) -> Config:
    mining = options.pop("mining", Mining(negatives=1))
    return Config(**{"loss": "softmax", "epochs": 3, "batch": 3, "lr": 0.05, "mining": mining, **options})


def by_loop(x: np.ndarray, positive, elsewhere, temperature: float) -> tuple[float, int]:
    """Photo by photo, in float64."""
    terms = []
    for i in range(len(x)):
        near = [math.exp(x[i] @ x[j] / temperature) for j in range(len(x)) if positive[i][j]]
        far = [math.exp(x[i] @ x[j] / temperature) for j in range(len(x)) if elsewhere[i][j]]
        if near and far:
            terms.append(-math.log(max(near) / (max(near) + sum(far))))
    return (sum(terms) / len(terms) if terms else 0.0), len(terms)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_like_a_loop(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(12, 4))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    at = rng.integers(0, 5, 12)
    positive, elsewhere = (at[:, None] == at) & ~np.eye(12, dtype=bool), np.abs(at[:, None] - at) > 1
    expected = by_loop(x, positive, elsewhere, 0.2)
    loss, count = softmax_loss(torch.from_numpy(x), torch.from_numpy(positive), torch.from_numpy(elsewhere), 0.2)
    assert (loss.item(), count) == (pytest.approx(expected[0], rel=1e-9), expected[1])


def test_a_batch_without_a_pair_is_no_loss():
    x, none = torch.eye(3).requires_grad_(), torch.zeros(3, 3, dtype=torch.bool)
    loss, count = softmax_loss(x, none, ~none, 0.1)
    assert (loss.item(), count) == (0.0, 0)
    loss.backward()


def test_relations_pair_by_pair():
    at = [0, 0, 8, 20, 60, np.nan, np.nan, np.nan]
    places = Places.build(
        path=list("abcdefgg"),
        easting=at,
        northing=[0.0] * 5 + [np.nan] * 3,
        place=["", "", "", "", "x", "x", "y", "y"],
        time=[f"2025-05-{day:02d}" for day in (1, 2, 2, 1, 1, 2, 1, 2)],
    )
    found = Relations(places, Mining(positives="other-date", apart=1.0)).of(np.arange(8))
    positive, elsewhere = (set(map(tuple, np.argwhere(mask).tolist())) for mask in found)
    assert positive == {(0, 2), (2, 0), (4, 5), (5, 4)}  # 0 and 1 are too near; of y both rows are one photo
    far = {(i, j) for i in range(5) for j in range(5) if abs(at[i] - at[j]) > 25}
    labels = {(i, j) for i in range(8) for j in range(8) if max(i, j) > 4 and places.place[i] != places.place[j]}
    assert elsewhere == far | labels
    assert (0, 1) in set(map(tuple, np.argwhere(Relations(places, Mining("other-date", apart=None)).of([0, 1])[0])))


def test_places_are_learnt(network, street):
    one_batch = {"batch": 6, "mining": Mining(negatives=10)}
    settings = config(epochs=12, optimizer="adamw", lr=3e-3, schedule="cosine", temperature=0.2, **one_batch)
    record = train(network("netvlad"), street(6), settings, workers=0).record
    assert (record.queries, record.best) == (6, 12)
    losses = [epoch.loss for epoch in record.epochs]
    assert losses[-1] < 0.95 * losses[0]
    assert all((epoch.tuples, epoch.steps) == (6, 1) for epoch in record.epochs)


def test_a_step_by_hand(network, street):
    """All photos of three places in one batch: the gradient of the loss by a loop."""
    database, queries = street(3)
    model, reference = network("netvlad"), network("netvlad")
    mining = Mining(negatives=10)
    settings = config(
        epochs=1, batch=3, momentum=0.0, weight_decay=0.0, storage="float32", lr=0.01, mining=mining, temperature=0.1
    )
    record = train(model, (database, queries), settings, workers=0).record
    places = Places.concat([database, queries])
    from netvlad.images.read import read_image

    x = torch.cat([reference(reference.prepare(read_image(path)[None].copy())) for path in places.path])
    metres = np.abs(places.easting[:, None] - places.easting)
    masks = (metres <= 10) & (metres > 1), metres > 25
    expected, count = by_loop(x.detach().double().numpy(), *masks, 0.1)
    assert record.epochs[0].violating == count == 9
    assert record.epochs[0].loss == pytest.approx(expected, rel=1e-4)
    softmax_loss(x, *map(torch.from_numpy, masks), 0.1)[0].backward()
    trained = dict(model.named_parameters())
    for name, p in reference.named_parameters():
        if name.startswith(("backbone.body.layer3.", "pooling.")):
            torch.testing.assert_close(trained[name], p - 0.01 * p.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_hard_negatives_are_drawn_from_the_nearest(network, street):
    objective = Trainer(network("max"), *street(9), config(mining=Mining(cached_negatives=2, negatives=1))).objective
    assert isinstance(objective, SoftmaxObjective)
    objective.network.open()
    objective.refresh(1, objective.order(1), 9, 0)
    query = int(objective.order(1)[0])
    near = objective.tuples.positives(query)
    far = np.setdiff1d(np.arange(18), near)
    distances = objective.cache.squared_distances(int(objective.row_of[query]), objective.database_rows[far])
    nearest = set(objective.database_rows[far[np.argsort(distances)[:2]]].tolist())
    drawn = set()
    for epoch in range(1, 9):
        own, positive, negative = objective._photos(query, epoch)
        assert own == objective.row_of[query]
        assert positive in objective.database_rows[near]
        drawn.add(int(negative))
    assert drawn == nearest


def test_other_light_by_the_sun(network, street):
    database, queries = street(4)
    spot = {"lat": 31.26 + database.easting / 111_000, "lon": 34.8}
    hours = ["12:00", "23:00"] * 4
    held = Places.build(path=database.path, time=[f"2025-12-22T{h}" for h in hours], **spot)
    asked = Places.build(path=queries.path, lat=31.26 + queries.easting / 111_000, lon=34.8, time="2025-12-22T11:00")
    objective = Trainer(network("max"), held, asked, config(mining=Mining("other-light"))).objective
    assert [objective.tuples.positives(q).tolist() for q in range(4)] == [[1], [3], [5], [7]]


def test_what_does_not_go_together():
    with pytest.raises(NetvladError, match="verified pairs go with ranking"):
        config(mining=Mining("verified"))
    with pytest.raises(NetvladError, match="fixed cameras go with the loss softmax, not ranking"):
        Config(cameras="x.csv")


def test_photos_that_cannot_be_read(network, street):
    database, queries = street(4)
    for path in [*database.path[[0, 3]], queries.path[2]]:
        with open(path, "wb") as file:
            file.write(b"no photo")
    record = train(network("max"), (database, queries), config(epochs=2), workers=0).record
    assert len(record.unreadable) == 3
    assert math.isfinite(record.epochs[-1].loss)
