from __future__ import annotations

import json

import pytest

import netvlad as package
from netvlad.pretrained.zoo import load_folder


def test_a_fitted_model_can_be_used(netvlad, refused, town, tmp_path, weights):
    out, index = tmp_path / "models" / "town", tmp_path / "a.vpr"
    options = ["--backbone", "test_resnet", "--pooling", "netvlad", "--clusters", "4", "--whiten", "3", "--seed", "5"]
    ran = netvlad("fit", "--places", town, "--out", out, *options)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"wrote {out}: test_resnet-netvlad, 3-D; use it with --model {out}\n"
    want = package.load("test_resnet-netvlad", clusters=4)
    package.fit(want, package.read_places(town).path, whiten=3, seed=5)
    model = load_folder(out)
    assert model.dim == 3
    assert model.identity == want.identity  # the command does what the function does
    shown = json.loads(netvlad("info", out).out)["model"]
    assert (shown["name"], shown["dim"]) == ("test_resnet-netvlad", 3)
    assert shown["architecture"]["clusters"] == 4
    assert shown["fitted_on"]["seed"] == 5
    assert shown["fitted_on"]["places"] == town.name

    assert "8 photos added" in netvlad("index", town, "--out", index, "--model", out).err
    assert json.loads(netvlad("info", index).out)["model"] == {
        "name": "test_resnet-netvlad",
        "identity": model.identity,
        "dim": 3,
    }
    found = json.loads(netvlad("locate", town / "3.jpg", "--index", index, "--json").out)
    assert found[0]["matches"][0]["path"] == str(town / "3.jpg")
    assert "clusters 4, not 8" in refused("index", town, "--out", index, "--clusters", "8")


def test_densevlad_needs_no_backbone(netvlad, refused, town, tmp_path, monkeypatch):
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    out, index = tmp_path / "dense", tmp_path / "a.vpr"
    ran = netvlad("fit", "--places", town, "--out", out, "--model", "densevlad", "--clusters", "4", "--whiten", "3")
    assert ran.code == 0
    assert ran.err == f"wrote {out}: densevlad, 3-D; use it with --model {out}\n"
    want = package.fit(package.load("densevlad", clusters=4), package.read_places(town).path, whiten=3)
    assert load_folder(out).identity == want.identity
    assert "8 photos added" in netvlad("index", town, "--out", index, "--model", out).err
    found = json.loads(netvlad("locate", town / "3.jpg", "--index", index, "--json").out)
    assert found[0]["matches"][0]["path"] == str(town / "3.jpg")
    for option in (["--backbone", "resnet18"], ["--pooling", "vlad"]):
        both = ["--places", town, "--out", tmp_path / "m", "--model", "densevlad", *option]
        assert "leave --backbone and --pooling out" in refused("fit", *both)


def test_fixed_cameras(netvlad, refused, town, tmp_path, photos, weights):
    from netvlad.describe.fixed_cameras import fit_cameras, fit_local

    table, out = tmp_path / "cameras.csv", tmp_path / "m"
    rows = [f"{path},cam{i}" for i in range(2) for path in photos(3, seed=7 + i, folder="cameras")]
    table.write_text("\n".join(["path,place", *rows]) + "\n")
    given = ["--places", town, "--out", out, "--backbone", "test_resnet", "--clusters", "4", "--seed", "5"]
    assert netvlad("fit", *given, "--cameras", table).code == 0
    cameras = package.read_places(table)
    want = fit_local(package.load("test_resnet-netvlad", clusters=4), cameras.path, cameras.place, seed=5)
    package.fit(want, package.read_places(town).path, seed=5)
    fit_cameras(want, cameras.path, cameras.place, seed=5)
    model = load_folder(out)
    assert model.identity == want.identity
    assert (model.dim, model.fitted_on["cameras"]) == (want.dim, 2)
    assert "8 photos added" in netvlad("index", town, "--out", tmp_path / "a.vpr", "--model", out).err
    assert "choose one" in refused("fit", *given, "--cameras", table, "--whiten", "3")
    assert "no fixed camera with two photos" in refused("fit", *given, "--cameras", town)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--whiten", "8"], "choose 1 to 7"),
        (["--pooling", "bogus"], "no model is called 'test_resnet-bogus'"),
        (["--stage", "layer9"], "no stage 'layer9'; choose one of"),
        (["--clusters", "4096"], "4096"),
    ],
)
def test_what_cannot_be_fitted(refused, town, tmp_path, options, words):
    given = ["--places", town, "--out", tmp_path / "m", "--backbone", "test_resnet", "--clusters", "4"]
    assert words in refused("fit", *given, *options)
    assert not (tmp_path / "m").exists()


def test_without_a_model_it_takes_what_the_package_brings(netvlad, refused, town, tmp_path, monkeypatch):
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    ran = netvlad("fit", "--places", town, "--out", tmp_path / "m", "--pooling", "max")
    assert ran.code == 0
    assert load_folder(tmp_path / "m").name == "tf_efficientnet_lite0-max"
    given = ["--places", town, "--out", tmp_path / "n", "--model", "default"]
    assert "leave --cameras out" in refused("fit", *given, "--cameras", tmp_path / "none.csv")
