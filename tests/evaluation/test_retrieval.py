from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netvlad.benchmarks import Split, benchmark
from netvlad.benchmarks.published import PublishedResult
from netvlad.errors import NetvladError
from netvlad.evaluation.retrieval import Cropping, evaluate_retrieval
from netvlad.images.read import read_image
from netvlad.places import Places
from netvlad.report.retrieval_report import summary, write_report
from netvlad.types import Ranking


def places(name, n) -> Places:
    return Places.build(path=[f"/{name}{i}" for i in range(n)], place=[str(i) for i in range(n)])


class Fixed:
    name = "fixed"

    def __init__(self, ids, dim=None, **more):
        self.ids, self.dim, self.more = np.array(ids, np.int64), dim, more

    def rank(self, photos, k):
        self.asked = k
        return Ranking(self.ids[:, :k], np.zeros(self.ids[:, :k].shape, np.float32), **self.more)


SPLIT = Split(
    places("d", 5),
    places("q", 3),
    positives=[np.array([0, 3]), np.array([2]), np.array([], int)],
    junk=[np.array([1]), np.array([]), np.array([4])],
)
RANKED = [[1, 0, 2, 3, 4], [2, 0, 1, 3, 4], [0, 1, 2, 3, 4]]


def test_by_hand():
    ranker = Fixed(RANKED, dim=3, seconds={"search": 0.1})
    found = evaluate_retrieval({"m": ranker}, benchmark("roxford5k-medium"), SPLIT)
    assert ranker.asked == 5  # all of the database
    assert found.judged.tolist() == [True, True, False]  # revisited: a query without positives is left out
    (method,) = found.methods
    first = 0.5 * 1 + 0.5 * (1 / 2 + 2 / 3) / 2  # without the junk: right, wrong, right
    assert method.precision[:2] == pytest.approx([first, 1.0])
    assert np.isnan(method.precision[2])
    assert method.mean == pytest.approx((first + 1) / 2)
    assert method.mean_at == pytest.approx({1: 1.0, 5: (2 / 3 + 1) / 2, 10: (2 / 3 + 1) / 2})
    assert (method.dim, method.seconds) == (3, {"search": 0.1})


def test_queries_without_positives_count_with_nothing_where_they_are_kept():
    found = evaluate_retrieval({"m": Fixed(RANKED)}, benchmark("oxford5k"), SPLIT)
    assert found.judged.all()
    assert found.methods[0].precision[2] == 0
    assert found.methods[0].mean == pytest.approx(np.mean([0.5 + 7 / 24, 1, 0]))


def test_unreadable_queries_are_left_out():
    ranker = Fixed(RANKED, unreadable={"/q0": "is empty", "/d1": "no such file"})
    found = evaluate_retrieval({"m": ranker}, benchmark("oxford5k"), SPLIT)
    assert found.judged.tolist() == [False, True, True]
    assert found.unreadable == {"/q0": "is empty", "/d1": "no such file"}


def test_results_json(tmp_path):
    found = evaluate_retrieval({"m": Fixed(RANKED)}, benchmark("oxford5k"), SPLIT)
    facts = summary(found, {"m": PublishedResult("oxford5k", "X", None, {"all": (63.5,)})})
    assert facts["counts"] == {"database": 5, "queries": 3, "judged": 3, "unreadable": 0}
    assert facts["methods"][0]["published"]["off"] == {"all": [round(100 * facts["methods"][0]["map"] - 63.5, 2)]}
    assert list(facts["methods"][0]["average_precision"]) == ["/q0", "/q1", "/q2"]
    assert "Junk" in facts["rules"]
    assert write_report(found, tmp_path / "out").read_text().startswith("{")


def test_positions_cannot_be_judged_so():
    with pytest.raises(NetvladError, match="lists no right photos"):
        evaluate_retrieval({"m": Fixed(RANKED)}, benchmark("oxford5k"), Split(SPLIT.database, SPLIT.queries))


@st.composite
def splits(draw):
    d, q = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    kinds = st.lists(st.sampled_from(["good", "junk", "both", "", ""]), min_size=d, max_size=d)
    of = [draw(kinds) for _ in range(q)]
    positives = [np.array([i for i, kind in enumerate(k) if kind in ("good", "both")], int) for k in of]
    junk = [np.array([i for i, kind in enumerate(k) if kind in ("junk", "both")], int) for k in of]
    ranked = [list(draw(st.permutations(range(d)))) for _ in range(q)]
    return Split(places("d", d), places("q", q), positives, junk), ranked


@given(case=splits(), name=st.sampled_from(["oxford5k", "roxford5k-hard"]))
@settings(deadline=None)
def test_the_mean_is_that_of_the_slow_way(case, name):
    split, ranked = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netvlad.evaluation.retrieval.environment", dict)
        found = evaluate_retrieval({"m": Fixed(ranked)}, benchmark(name), split)
    precisions = []
    for positives, junk, row in zip(split.positives, split.junk, ranked, strict=True):
        good = set(positives.tolist()) - set(junk.tolist())
        left = [photo for photo in row if photo not in set(junk.tolist())]
        if not good and name != "oxford5k":
            continue
        area, before = 0.0, 1.0
        for i in range(len(left)):
            precision = len(good & set(left[: i + 1])) / (i + 1)
            if left[i] in good:
                area += (before + precision) / 2 / len(good)
            before = precision
        precisions.append(area)
    want = np.mean(precisions) if precisions else np.nan
    assert found.methods[0].mean == pytest.approx(want, abs=1e-12, nan_ok=True)


class Seeing:
    """Keeps what each query looked like."""

    name, dim = "seeing", None

    def rank(self, photos, k):
        unreadable = {}
        self.paths = list(photos)
        self.seen = []
        for photo in photos:
            try:
                self.seen.append(read_image(photo))
            except Exception:
                self.seen.append(None)
                unreadable[photo] = "no such file"
        scores = np.zeros((len(photos), k), np.float32)
        return Ranking(np.zeros((len(photos), k), np.int64), scores, unreadable=unreadable)


def test_queries_are_cropped(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    photo = str(tmp_path / "q.png")
    Image.fromarray(pixels).save(photo)
    roi = np.array([[2.4, 3.6, 11.5, 9.0], [20.0, -5.0, 99.0, 99.0], [30.0, 0, 40, 20], [0, 0, 30, 20]])
    inner = Seeing()
    ranker = Cropping(inner, [photo] * 4, roi)
    ranking = ranker.rank([photo] * 4, 2)
    assert ranking.ids.shape == (4, 2)
    np.testing.assert_array_equal(inner.seen[0], pixels[4:9, 2:12])
    np.testing.assert_array_equal(inner.seen[1], pixels[0:20, 20:30])
    assert inner.seen[2] is None
    np.testing.assert_array_equal(inner.seen[3], pixels)
    assert ranking.unreadable == {photo: "region of interest 30, 0, 40, 20 holds nothing of its 30x20 pixels"}
    assert not any(path.startswith(str(tmp_path)) for path in inner.paths)
    from pathlib import Path

    assert not Path(inner.paths[0]).exists()  # crops are gone
    with pytest.raises(NetvladError, match="in their order"):
        ranker.rank([photo], 2)
