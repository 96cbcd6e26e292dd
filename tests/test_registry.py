from __future__ import annotations

import sys
from importlib import metadata

import pytest

from netvlad.errors import ModelError, NetvladError
from netvlad.registry import Registry


@pytest.fixture
def plug_ins(tmp_path, monkeypatch):
    """plug_ins(module source, name=object reference, ...) makes a package with entry points of group "test.group"."""

    def make(source: str, **points: str) -> None:
        (tmp_path / "plug_in_of_a_test.py").write_text(source)
        info = tmp_path / "plug_in_of_a_test-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in-of-a-test\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[test.group]", *lines]) + "\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "plug_in_of_a_test", raising=False)

    return make


def test_what_is_registered_is_found_in_order():
    registry: Registry[object] = Registry("thing", "test.group")
    second, first = object(), object()
    assert registry.register("b")(second) is second
    registry.add("a", first)
    assert registry.names() == list(registry) == ["b", "a"]
    assert (registry.get("a"), registry.get("b")) == (first, second)
    assert "a" in registry
    assert "c" not in registry


def test_an_unknown_name_is_told_with_close_ones():
    registry: Registry[int] = Registry("pooling", "test.group", error=ModelError)
    registry.add("netvlad", 1)
    registry.add("max", 2)
    with pytest.raises(ModelError, match="no pooling is called 'netvald'; close: netvlad"):
        registry.get("netvald")
    with pytest.raises(ModelError, match="choose one of netvlad, max"):
        registry.get("x")


def test_a_name_is_given_once():
    registry: Registry[int] = Registry("pooling", "test.group", error=ModelError)
    registry.add("max", 1)
    registry.add("max", 1)  # a module that is imported twice
    with pytest.raises(ModelError, match="'max' is registered already"):
        registry.add("max", 2)


def test_built_in_modules_are_imported_on_the_first_look_up(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "built_in_of_a_test.py").write_text("import sys\nsys.registry_of_a_test.add('one', 1)\n")
    registry: Registry[int] = Registry("thing", "test.group", ("built_in_of_a_test",))
    monkeypatch.setattr(sys, "registry_of_a_test", registry, raising=False)
    assert "built_in_of_a_test" not in sys.modules
    assert registry.get("one") == 1


def test_entry_points_are_found_and_imported_when_asked_for(plug_ins):
    plug_ins("answer = 42\n", theirs="plug_in_of_a_test:answer")
    registry: Registry[int] = Registry("thing", "test.group")
    registry.add("ours", 1)
    assert registry.names() == ["ours", "theirs"]
    assert "theirs" in registry
    assert "plug_in_of_a_test" not in sys.modules
    assert registry.get("theirs") == 42


def test_the_packages_own_names_win_over_plug_ins(plug_ins):
    plug_ins("answer = 42\n", ours="plug_in_of_a_test:answer")
    registry: Registry[int] = Registry("thing", "test.group")
    registry.add("ours", 1)
    assert registry.get("ours") == 1
    assert registry.names() == ["ours"]


def test_a_broken_plug_in_breaks_its_own_name_alone(plug_ins):
    plug_ins("raise RuntimeError('half installed')\n", theirs="plug_in_of_a_test:answer")
    registry: Registry[int] = Registry("thing", "test.group")
    registry.add("ours", 1)
    assert registry.names() == ["ours", "theirs"]
    assert registry.get("ours") == 1
    with pytest.raises(NetvladError, match=r"plug_in_of_a_test:answer .*RuntimeError: half installed"):
        registry.get("theirs")


def test_entry_point_groups_are_those_that_are_documented():
    from netvlad import registry

    groups = {getattr(registry, kind).group for kind in ("models", "poolings", "rankers", "benchmarks", "losses")}
    assert groups == {f"netvlad.{kind}" for kind in ("models", "poolings", "rankers", "benchmarks", "losses")}
    assert metadata.entry_points(group="netvlad.models") is not None
