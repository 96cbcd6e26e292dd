from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from netvlad.errors import NetvladError, PlacesError
from netvlad.places import Places
from netvlad.training.validation import Validation

NUMBERS = itertools.count()


def table(x, days=None) -> Places:
    times = None if days is None else [None if d is None else f"2025-05-{d:02d}T12:00:00" for d in days]
    paths = [f"{next(NUMBERS)}.jpg" for _ in x]
    return Places.build(path=paths, easting=np.asarray(x, float), northing=0.0, time=times)


def in_parts(vectors: torch.Tensor, step: int):
    order = np.random.default_rng(0).permutation(len(vectors))
    return ((order[i : i + step].tolist(), vectors[order[i : i + step]]) for i in range(0, len(vectors), step))


@pytest.mark.parametrize("step", [1, 7, 100])
@pytest.mark.parametrize("other_dates", [False, True])
def test_recall_like_a_loop(step, other_dates):
    rng = np.random.default_rng(5)
    at, asked_at = rng.integers(0, 80, 60) * 10.0, rng.integers(0, 100, 40) * 10.0
    days, asked_days = (rng.choice(np.array([1, 2, None]), n) for n in (60, 40))
    held, asked = table(at, days), table(asked_at, asked_days)
    g = torch.Generator().manual_seed(0)
    database, queries = torch.randn(60, 5, generator=g), torch.randn(40, 5, generator=g)
    database[7], queries[3] = float("nan"), float("nan")

    def allowed(d, q):
        return not other_dates or days[d] is None or days[d] != asked_days[q]

    hits = {}
    for q in range(40):
        matches = {d for d in range(60) if abs(at[d] - asked_at[q]) <= 25 and allowed(d, q)}
        cosine = {d: float(queries[q] @ database[d]) for d in range(60) if d != 7 and allowed(d, q)}
        order = sorted(cosine, key=lambda d: -cosine[d])
        if matches:
            hits[q] = bool(matches & set(order[:5]))
    validation = Validation(held, asked, radius=25.0, limit=1000, other_dates=other_dates)
    assert validation.chosen.tolist() == list(hits)
    found = validation.recall(queries[validation.chosen], in_parts(database, step))
    assert found == pytest.approx(np.mean([hit for q, hit in hits.items() if q != 3]))
    assert 0 < found < 1


def test_at_most_so_many_queries():
    held, asked = table(np.arange(300) * 10.0), table(np.arange(600) * 10.0)
    some = Validation(held, asked, radius=1, limit=50, seed=1).chosen
    assert len(np.unique(some)) == 50
    assert some.max() < 300  # those that have a match
    assert (some == Validation(held, asked, radius=1, limit=50, seed=1).chosen).all()
    assert (some != Validation(held, asked, radius=1, limit=50, seed=2).chosen).any()


def test_fewer_than_five_photos():
    validation = Validation(table([0.0, 500.0]), table([0.0]), radius=25, limit=9)
    assert validation.recall(torch.ones(1, 2), [([1, 0], torch.ones(2, 2))]) == 1.0
    assert validation.recall(torch.ones(1, 2), []) == 0.0


def test_nothing_to_validate_on():
    with pytest.raises(PlacesError, match="none of the 2 validation queries has a database photo within 25 m"):
        Validation(table([0.0]), table([26.0, 30.0]), radius=25, limit=9)
    with pytest.raises(PlacesError, match="photo of another date within 25 m"):
        Validation(table([0.0], [1]), table([0.0], [1]), radius=25, limit=9, other_dates=True)
    with pytest.raises(NetvladError, match="none of the validation queries can be read"):
        Validation(table([0.0]), table([0.0]), radius=25, limit=9).recall(torch.full((1, 2), torch.nan), [])


def test_a_photo_does_not_find_itself():
    both = table([0.0, 5.0, 500.0, 505.0, 900.0])
    validation = Validation(both, both, radius=25, limit=9)
    assert validation.chosen.tolist() == [0, 1, 2, 3]  # the last is alone
    assert validation.recall(torch.eye(5)[:4], [([0, 1, 2, 3, 4], torch.eye(5))]) == 1.0
    # five photos elsewhere are nearer to each query than its neighbour: only itself would save it
    many = Validation(Places.concat([both, table(1000.0 + 50 * np.arange(5))]), both, radius=25, limit=9)
    held = torch.eye(10)
    held[5:, :4] = 0.1
    assert many.recall(torch.eye(10)[:4], [(list(range(10)), held)]) == 0.0


def test_labels_are_the_truth_where_positions_are_missing():
    database = Places.build(path=list("abcdefgh"), place=list("xyyyyyyy"))
    queries = Places.build(path=list("qrs"), place=["x", "y", "unknown"])
    validation = Validation(database, queries, radius=25, limit=10)
    assert validation.chosen.tolist() == [0, 1]
    asked = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    vectors = torch.tensor([[1.0, 0.0], *[[0.0, 1.0]] * 7])  # the only x is last for the first query
    assert validation.recall(asked, in_parts(vectors, 3)) == 0.5
