from __future__ import annotations

from netvlad import registry
from netvlad.describe.dense_vlad import CENTRES
from netvlad.pretrained.catalogue import BACKBONES
from netvlad.pretrained.listing import listed_backbones, listed_models


def test_models_lists_what_is_known_in_full(netvlad):
    ran = netvlad("models")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    for backbone in listed_backbones():
        row = next(line for line in lines if line.split()[:1] == [backbone.backbone])
        for text in (
            backbone.stage,
            str(backbone.dim),
            str(64 * backbone.dim),
            backbone.weights,
            backbone.licence,
            backbone.remark,
        ):
            assert text in row
    assert {k.backbone for k in listed_backbones()} == set(BACKBONES)
    assert "…" not in ran.out


def test_where_the_centres_of_densevlad_come_from(netvlad, tmp_path, monkeypatch):
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(tmp_path))
    assert "centres: fitted on the photos" in netvlad("models").out
    (tmp_path / CENTRES).touch()
    assert f"centres: file {CENTRES}" in netvlad("models").out


def test_models_lists_what_others_published(netvlad, tmp_path, monkeypatch):
    monkeypatch.setenv("NETVLAD_CACHE", str(tmp_path))
    (tmp_path / "models" / "vgg16-netvlad-tokyotm").mkdir(parents=True)
    (tmp_path / "models" / "vgg16-netvlad-tokyotm" / "card.json").touch()
    lines = netvlad("models").out.splitlines()
    for model in listed_models():
        row = next(line for line in lines if line.split()[:1] == [model.name])
        for text in (str(model.dim), model.size, model.source, model.licence):
            assert text in row
    assert next(line for line in lines if "vgg16-netvlad-tokyotm" in line).rstrip().endswith("here, in the cache")
    assert next(line for line in lines if "megaloc " in line).rstrip().endswith("torch.hub gmberton/MegaLoc")


def test_models_lists_what_other_packages_registered(netvlad, monkeypatch):
    assert "Registered by other packages" not in netvlad("models").out
    monkeypatch.setitem(registry.poolings._loaded(), "corner", object)
    monkeypatch.setitem(registry.models._loaded(), "constant", object)
    lines = netvlad("models").out.splitlines()
    assert lines[-2:] == [
        "Registered by other packages, models: constant.",
        "Registered by other packages, poolings: corner.",
    ]
