"""What version 0.1.0 wrote opens and answers alike: fixtures/format1 holds it, made from drawn pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import netvlad

FORMAT1 = Path(__file__).parent / "fixtures" / "format1"
QUERIES = [str(FORMAT1 / "photos" / f"query_{i}.jpg") for i in range(4)]
DATABASE = [f"/photos/drawn/{place:02d}_{visit}.jpg" for place in range(14) for visit in range(2)]


@pytest.fixture(scope="module")
def answers() -> dict:
    return json.loads((FORMAT1 / "answers.json").read_text())


@pytest.mark.parametrize("folder", ["model", "densevlad"])
def test_a_saved_model_makes_the_same_vectors(folder, answers):
    model = netvlad.load(FORMAT1 / folder)
    assert model.identity == answers[folder]["identity"]
    np.testing.assert_allclose(model.describe(QUERIES), answers[folder]["vectors"], atol=1e-5)


def test_a_model_is_written_as_it_was_read(tmp_path, answers):
    saved = netvlad.load(FORMAT1 / "model").save(tmp_path / "model")
    before, after = (json.loads((folder / "card.json").read_text()) for folder in (FORMAT1 / "model", saved))
    assert {**after, "netvlad": ""} == {**before, "netvlad": ""}


def test_an_index_answers_as_it_did(tmp_path, answers):
    index = netvlad.PlaceIndex.open(shutil.copytree(FORMAT1 / "index", tmp_path / "index"))
    for query, was in zip(QUERIES, answers["index"], strict=True):
        found = index.locate(query, top=5)
        assert [Path(match.path).name for match in found] == was["matches"]
        np.testing.assert_allclose([match.distance for match in found], was["distances"], atol=1e-5)
        np.testing.assert_allclose([found.lat, found.lon, found.radius], [was["lat"], was["lon"], was["radius"]])
        assert 0 < found.confidence < 1  # learnt anew, from other evidence


def test_an_index_opens_with_the_model_that_it_was_built_with(tmp_path):
    folder = shutil.copytree(FORMAT1 / "index", tmp_path / "index")
    assert len(netvlad.PlaceIndex.open(folder, netvlad.load(FORMAT1 / "model"))) == len(DATABASE)


def test_an_index_that_grows_gets_its_checksums_without_a_word(tmp_path, recwarn):
    folder = shutil.copytree(FORMAT1 / "index", tmp_path / "index")
    index = netvlad.PlaceIndex.open(folder)
    before = index.locate(QUERIES[0], top=3)
    assert not index.store.has_sums
    index.add(netvlad.Places.build(path=QUERIES[:1], lat=31.0, lon=34.0), workers=0)
    grown = netvlad.PlaceIndex.open(folder)
    assert grown.store.has_sums
    found = grown.locate(QUERIES[0], top=4)
    assert found.matches[0].path == QUERIES[0]
    assert [match.path for match in found][1:] == [match.path for match in before]
    assert [str(w.message) for w in recwarn if issubclass(w.category, netvlad.errors.PlaceIndexWarning)] == []


def test_an_index_is_corrected_shrinks_and_is_restored(tmp_path, recwarn):
    folder = shutil.copytree(FORMAT1 / "index", tmp_path / "index")
    index = netvlad.PlaceIndex.open(folder)
    places, before = index.places, index.locate(QUERIES[0], top=3)
    best = before.matches[0].path
    assert index.update(places).known == len(DATABASE)
    found = index.update(netvlad.Places.build(path=[best], lat=[31.5], lon=[34.5], place="gate"))
    assert (found.repositioned, found.relabelled) == ([best], [best])
    number = index.versions()[-1].number
    assert (index.locate(QUERIES[0]).lat, index.locate(QUERIES[0]).place) == (31.5, "gate")
    assert index.remove([best]) == 1
    grown = netvlad.PlaceIndex.open(folder)
    assert grown.locate(QUERIES[0]).matches[0].path == before.matches[1].path
    assert grown.restore(number) == len(DATABASE)
    assert grown.locate(QUERIES[0]).place == "gate"
    assert [str(w.message) for w in recwarn if issubclass(w.category, netvlad.errors.PlaceIndexWarning)] == []


def test_a_vocabulary_tree_ranks_as_it_did(answers):
    from netvlad.search.vocabulary_tree_ranker import VocabularyTreeRanker

    found = VocabularyTreeRanker.load(FORMAT1 / "tree_ranker", DATABASE).rank(QUERIES, 5)
    np.testing.assert_array_equal(found.ids, answers["tree_ranker"]["ids"])
    np.testing.assert_allclose(found.scores, answers["tree_ranker"]["scores"], rtol=1e-5)
