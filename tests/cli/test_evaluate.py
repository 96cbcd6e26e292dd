from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import netvlad as package
from netvlad.places import read_places
from netvlad.places.place_matches import place_matches
from netvlad.search.distinctive import distinctive_vectors


@pytest.fixture
def queries(town, elsewhere, tmp_path):
    """Two photos of the town, one taken far away, one that cannot be read."""
    (tmp_path / "bad.jpg").write_text("x")
    rows = [(town / "1.jpg", 31.2601), (elsewhere / "q0.jpg", 31.2604), (elsewhere / "q1.jpg", 31.5)]
    rows += [("bad.jpg", 31.26)]
    table = tmp_path / "queries.csv"
    table.write_text("\n".join(["path,lat,lon", *(f"{path},{lat},34.8" for path, lat in rows)]) + "\n")
    return table


def recall_by_hand(model: str, database, queries, n: int) -> float:
    """The share of the two queries with a match that have a photo at most 11.2 m from them among the n best."""
    describer = package.load(model)
    a, b = describer.describe(queries.path[:2]), describer.describe(database.path)
    best = np.argsort(((a[:, None] - b) ** 2).sum(-1), axis=1)[:, :n]
    metres = 111_000 * np.abs(database.lat[best] - queries.lat[:2, None])
    return float((metres <= 11.2).any(axis=1).mean())


def test_evaluate_with_a_report(netvlad, town, queries, tmp_path):
    out = tmp_path / "report"
    options = ["--model", "test_resnet-max", "--model", "test_resnet-netvlad", "--clusters", "4", "--radius", "11.2"]
    ran = netvlad("evaluate", "--database", town, "--queries", queries, *options, "--out", out)
    assert ran.code == 0
    assert ran.err.splitlines()[-5:] == [
        "1 photo could not be read:",
        f"  {tmp_path / 'bad.jpg'}: is not an image in a format Pillow can read",
        "these queries are in the database too and find themselves:",
        f"  {town / '1.jpg'}",
        f"wrote {out / 'index.html'}",
    ]
    assert {f.name for f in out.iterdir()} == {"results.json", "recall.png", "index.html", "answers"}
    facts = json.loads((out / "results.json").read_text("utf-8"))
    assert facts["counts"] == {
        "database": 8,
        "queries": 4,
        "judged": 2,
        "matched": 3,
        "without_match": 1,
        "unreadable": 1,
    }
    assert [(m["name"], m["dim"]) for m in facts["methods"]] == [("test_resnet-max", 192), ("test_resnet-netvlad", 768)]
    assert facts["config"]["clusters"] == 4
    assert facts["config"]["models"] == ["test_resnet-max", "test_resnet-netvlad"]
    searched, asked = read_places(town), read_places(queries)
    for n in (1, 2, 5):
        assert facts["methods"][0]["recall"][str(n)] == recall_by_hand("test_resnet-max", searched, asked, n)
    shares = [f"{100 * facts['methods'][0]['recall'][n]:.1f}" for n in ("1", "5", "10")]
    row = next(line for line in ran.out.splitlines() if "test_resnet-max" in line)
    assert row.split()[:5] == ["test_resnet-max", "192", *shares]
    assert ran.out.splitlines()[-1] == (
        "2 of 4 queries judged against 8 photos, radius 11.2 m; 1 without a true match are left out of the "
        "denominator; 1 photo unreadable"
    )


def test_unmatched_queries_are_kept_on_request(netvlad, town, queries):
    given = ["--database", town, "--queries", queries, "--model", "test_resnet-max"]
    ran = netvlad("evaluate", *given, "--keep-unmatched")
    assert ran.out.splitlines()[-1] == (
        "3 of 4 queries judged against 8 photos, radius 25 m; 1 without a true match are kept in the denominator; "
        "1 photo unreadable"
    )


def test_saved_models_can_be_compared(netvlad, town, tmp_path, weights):
    package.load("test_resnet-max").save(tmp_path / "mine")
    ran = netvlad("evaluate", "--database", town, "--queries", town, "--model", tmp_path / "mine", "--radius", "1")
    assert ran.code == 0
    row = next(line for line in ran.out.splitlines() if " 192 " in line)
    assert row.split()[1:5] == ["192", "100.0", "100.0", "100.0"]


def test_wrong_paths_and_models(refused, town, tmp_path):
    none = tmp_path / "none.csv"
    assert refused("evaluate", "--database", none, "--queries", town).startswith(f"{none}: does not exist")
    assert refused("evaluate", "--database", town, "--queries", none).startswith(f"{none}: does not exist")
    given = ["evaluate", "--database", town, "--queries", town, "--model"]
    assert "no model is called 'bogus'" in refused(*given, "bogus")
    assert "the radius must be 0 m or more" in refused(*given, "test_resnet-max", "--radius", "-3")
    (tmp_path / "flat.csv").write_text(f"path,easting,northing\n{town / '0.jpg'},1,2\n")
    message = refused("evaluate", "--database", town, "--queries", tmp_path / "flat.csv")
    assert "no distance runs between them" in message


def test_photos_that_cannot_be_read_at_all(netvlad, town, tmp_path):
    folder = tmp_path / "db"
    folder.mkdir()
    shutil.copy(town / "places.csv", folder)
    ran = netvlad("evaluate", "--database", folder, "--queries", town, "--model", "test_resnet-max")
    assert ran.code == 0
    assert "8 photos could not be read" in ran.err
    assert next(line for line in ran.out.splitlines() if "192" in line).split()[2:5] == ["0.0"] * 3


def test_queries_that_are_in_the_database_are_told_of(netvlad, town, queries):
    ran = netvlad("evaluate", "--database", town, "--queries", queries, "--model", "test_resnet-max")
    lines = ran.err.splitlines()
    at = lines.index("these queries are in the database too and find themselves:")
    assert lines[at + 1] == f"  {town / '1.jpg'}"
    assert lines[at + 2 :] == []


def test_the_rules_of_the_tokyo_benchmarks(netvlad, refused, town, tmp_path):
    """Cut-outs of two panoramas, on two dates: each photo of the town is the query and the database photo."""
    rows = ["path,lat,lon,time,panorama"]
    for i in range(4):
        rows.append(f"{town / f'{i}.jpg'},{31.26 + 1e-3 * (i // 2)},34.8,201{i % 2}-05-01T10:00:00,{'ab'[i // 2]}")
    table = tmp_path / "tokyo.csv"
    table.write_text("\n".join(rows) + "\n")
    given = ["--database", table, "--queries", table, "--model", "test_resnet-max"]

    def recall(*rules) -> list[str]:
        ran = netvlad("evaluate", *given, *rules, "--out", tmp_path / "report")
        assert ran.code == 0
        assert ("\nCut-outs of one panorama: only the best" in ran.out) == ("--best-per-panorama" in rules)
        assert ("\nPhotos of the query's own date: do not count" in ran.out) == ("--other-dates" in rules)
        protocol = json.loads((tmp_path / "report" / "results.json").read_text("utf-8"))["protocol"]
        assert protocol["best_per_panorama"] == ("--best-per-panorama" in rules)
        assert protocol["other_dates"] == ("--other-dates" in rules)
        return next(line for line in ran.out.splitlines() if "test_resnet-max" in line).split()[2:5]

    assert recall()[0] == "100.0"  # each finds itself
    assert recall("--best-per-panorama") == ["100.0"] * 3
    searched = read_places(table)
    vectors = package.load("test_resnet-max").describe(searched.path)
    apart = ((vectors[:, None] - vectors) ** 2).sum(-1)
    right = [apart[q, q ^ 1] < apart[q, (q ^ 1) ^ 2] for q in range(4)]  # of the two of the other date
    assert recall("--other-dates") == [f"{100 * np.mean(right):.1f}", "100.0", "100.0"]
    assert recall("--other-dates", "--best-per-panorama") == [f"{100 * np.mean(right):.1f}", "100.0", "100.0"]
    undated = ["--database", table, "--queries", tmp_path / "undated.csv", "--model", "test_resnet-max"]
    (tmp_path / "undated.csv").write_text(f"path,lat,lon\n{town / '0.jpg'},31.26,34.8\n")
    assert "no query has a time" in refused("evaluate", *undated, "--other-dates")


def detailed(path, seed: int, shift: int = 0) -> None:
    """A photo of fine blotches, seen from `shift` pixels further left."""
    rng = np.random.default_rng(seed)
    blotches = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    image = blotches.resize((240, 160), Image.Resampling.BICUBIC)
    image.crop((shift, 0, 200 + shift, 160)).save(path)


@pytest.fixture
def seen_again(tmp_path):
    """Tables of 6 photos 100 m apart, and of queries that show the same from a little aside."""
    for name, shift in (("held", 0), ("asked", 12)):
        rows = ["path,lat,lon"]
        for i in range(6):
            detailed(tmp_path / f"{name}{i}.png", i, shift)
            rows.append(f"{name}{i}.png,{31.26 + 1e-3 * i},34.8")
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "held.csv", tmp_path / "asked.csv"


def test_each_model_once_more_reranked(netvlad, seen_again, tmp_path):
    database, queries = seen_again
    models = ["--model", "test_resnet-max", "--model", "test_resnet-netvlad", "--clusters", "4"]
    given = ["--database", database, "--queries", queries, *models]
    plain = netvlad("evaluate", *given, "--out", tmp_path / "plain")
    ran = netvlad("evaluate", *given, "--out", tmp_path / "both", "--rerank", "6", "--local", "sift", "--budget", "60")
    assert (plain.code, ran.code) == (0, 0)
    before, after = (json.loads((tmp_path / n / "results.json").read_text("utf-8")) for n in ("plain", "both"))
    names = [name + more for name in ("test_resnet-max", "test_resnet-netvlad") for more in ("", " + rerank")]
    assert [m["name"] for m in after["methods"]] == names
    assert [m["recall"] for m in before["methods"]] == [m["recall"] for m in after["methods"][::2]]
    assert [m["dim"] for m in after["methods"]] == [192, 192, 768, 768]
    for method in after["methods"][1::2]:
        assert method["recall"]["1"] == 1.0
        assert method["stages"]["verify queries"]["photos"] == 6
    assert after["config"]["rerank"] == {"best": 6, "kind": "sift", "model": "homography", "budget": 60.0}
    assert "rerank" not in before["config"]
    assert "test_resnet-netvlad + rerank" in ran.out


def test_wrong_ways_to_rerank(refused, town):
    given = ["evaluate", "--database", town, "--queries", town, "--model", "test_resnet-max"]
    assert "choose one of rootsift, sift, orb, akaze" in refused(*given, "--rerank", "5", "--local", "surf")
    assert "choose one of homography, fundamental" in refused(*given, "--rerank", "5", "--geometry", "affine")
    assert "more than 0 seconds" in refused(*given, "--rerank", "5", "--budget", "0")
    for more in (("--local", "sift"), ("--geometry", "homography"), ("--budget", "1")):
        assert "give --rerank N too" in refused(*given, *more)
    # before anything is read
    nowhere = ["evaluate", "--database", town / "none.csv", "--queries", town]
    assert "choose one of rootsift" in refused(*nowhere, "--rerank", "5", "--local", "surf")


def test_models_by_what_is_distinctive(netvlad, refused, seen_again, tmp_path):
    """Any describer's name with -distinct behind it; index and fit say why they cannot."""
    from netvlad.experiments.ranker_factory import RankerOptions, build_rankers
    from netvlad.experiments.tasks import table_task

    database, queries = seen_again
    model = tmp_path / "mine"
    package.load("test_resnet-max").save(model)
    names = ["test_resnet-max", "test_resnet-max-distinct", f"{model}-distinct"]
    given = ["--database", database, "--queries", queries, "--workers", "0"]
    ran = netvlad("evaluate", *given, *(x for n in names for x in ("--model", n)), "--out", tmp_path / "out")
    assert ran.code == 0
    methods = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))["methods"]
    assert [(m["name"], m["dim"]) for m in methods] == [(name, 192) for name in names]
    assert "distinctive database" in methods[1]["stages"]
    places = read_places(database)
    near = place_matches(places, places, 25.0)
    task, options = table_task(places, read_places(queries)), RankerOptions({}, workers=0)
    asked = read_places(queries).path
    answers = [built.ranker.rank(asked, 6) for name in names for built in build_rankers(name, name, task, options)]
    vectors = package.load("test_resnet-max").describe(places.path)
    of_queries = package.load("test_resnet-max").describe(asked)
    squared = ((of_queries[:, None] - distinctive_vectors(vectors, near)) ** 2).sum(-1)
    np.testing.assert_allclose(answers[1].scores, -np.sort(squared, axis=1), atol=1e-5)
    np.testing.assert_array_equal(answers[1].ids, answers[2].ids)
    assert not np.allclose(answers[0].scores, answers[1].scores)
    why = "test_resnet-max-distinct stands for a way to search with test_resnet-max"
    assert why in refused("index", database, "--out", tmp_path / "i", "--model", names[1])
    assert why in refused("fit", "--model", names[1], "--places", database, "--out", tmp_path / "m")


def test_vocabulary_trees(netvlad, refused, seen_again, tmp_path):
    from netvlad.search.tree_fit import fit_tree

    database, queries = seen_again
    fit_tree(read_places(queries).path, branching=8, depth=2, workers=0).save(tmp_path / "tree")
    models = ["vocabtree", "vocabtree-8x3-n2", str(tmp_path / "tree"), "test_resnet-max"]
    given = ["--database", database, "--queries", queries, "--workers", "0", "--resize", "200"]
    ran = netvlad("evaluate", *given, *(x for m in models for x in ("--model", m)), "--out", tmp_path / "report")
    assert ran.code == 0
    facts = json.loads((tmp_path / "report" / "results.json").read_text("utf-8"))
    assert [(m["name"], m["dim"]) for m in facts["methods"]] == [(m, None) for m in models[:3]] + [(models[3], 192)]
    assert [m["recall"]["1"] for m in facts["methods"][:3]] == [1.0] * 3
    assert next(iter(facts["methods"][0]["stages"])) == "fit tree on database"
    both = [x for m in ("vocabtree-8x2-n2", "vocabtree-8x2-n2-distinct") for x in ("--model", m)]
    assert netvlad("evaluate", *given, *both, "--out", tmp_path / "both").code == 0
    plain, distinct = json.loads((tmp_path / "both" / "results.json").read_text("utf-8"))["methods"]
    assert min(plain["recall"]["5"], distinct["recall"]["5"]) > 0.8
    answers = [np.load(file)["scores"] for file in (tmp_path / "both" / "answers").glob("*.npz")]
    assert len(answers) == 2
    assert not np.allclose(*answers)  # some votes count less
    assert "no vocabulary tree is called 'vocabtree-8'" in refused("evaluate", *given, "--model", "vocabtree-8")
    # the folder is no describer
    assert "holds a vocabulary tree, not a model" in refused(
        "index", database, "--out", tmp_path / "i", "--model", models[2]
    )
