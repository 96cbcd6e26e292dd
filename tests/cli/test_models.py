from __future__ import annotations

import netvlad as package
from netvlad import registry
from netvlad.describe.weight_files import CENTRES
from netvlad.pretrained.listing import listed_backbones, listed_models


def entry(out: str, name: str) -> str:
    """The lines of `netvlad models` about one name, in one."""
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == [name])
    more = next(i for i, line in enumerate(lines) if i > start and not line.startswith("  "))
    return " ".join(" ".join(lines[start:more]).split())


def test_models_lists_what_is_known_in_full(netvlad):
    ran = netvlad("models")
    assert (ran.code, ran.err) == (0, "")
    for k in listed_backbones():
        told = entry(ran.out, k.backbone)
        for text in (k.stage, k.dim, 2 * k.dim, 2 * 64 * k.dim, k.weights, k.licence, k.remark, k.here):
            assert str(text) in told
    for m in listed_models():
        told = entry(ran.out, m.name)
        for text in (m.dim, 2 * m.dim, m.size, m.source, m.licence, m.page, m.here):
            assert str(text) in told
    assert "94.1" in entry(ran.out, "image4vpr")
    assert max(map(len, ran.out.splitlines())) <= 80


def test_the_default_model_has_the_numbers_that_are_told(netvlad):
    told = " ".join(netvlad("models").out.split())
    assert f"projected to {package.load('default').dim} numbers" in told


def test_where_the_centres_of_densevlad_come_from(netvlad, tmp_path, monkeypatch):
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(tmp_path))
    assert "centres: fitted on the photos" in " ".join(netvlad("models").out.split())
    (tmp_path / CENTRES).touch()
    assert f"centres: file {CENTRES}" in " ".join(netvlad("models").out.split())


def test_models_says_what_is_here(netvlad, tmp_path, monkeypatch):
    monkeypatch.setenv("NETVLAD_CACHE", str(tmp_path))
    assert "download" in entry(netvlad("models").out, "vgg16-netvlad-tokyotm")
    (tmp_path / "models" / "vgg16-netvlad-tokyotm").mkdir(parents=True)
    (tmp_path / "models" / "vgg16-netvlad-tokyotm" / "card.json").touch()
    assert "(of the code) here" in entry(netvlad("models").out, "vgg16-netvlad-tokyotm")


def test_models_lists_what_other_packages_registered(netvlad, monkeypatch):
    assert "Registered by other packages" not in netvlad("models").out
    monkeypatch.setitem(registry.poolings._loaded(), "corner", object)
    monkeypatch.setitem(registry.models._loaded(), "constant", object)
    lines = netvlad("models").out.splitlines()
    assert lines[-2:] == [
        "Registered by other packages, models: constant.",
        "Registered by other packages, poolings: corner.",
    ]
