from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import netvlad

HEAVY = ("torch", "timm", "faiss", "lance", "numpy", "matplotlib", "pyarrow", "scipy", "PIL", "typer", "rich")
STUB = ast.parse(Path(netvlad.__file__).with_suffix(".pyi").read_text())
WHERE = {
    alias.name: f"netvlad.{node.module}"
    for node in STUB.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}


@pytest.mark.parametrize("name", WHERE)
def test_a_name_is_what_its_module_holds_however_often_it_is_asked_for(name):
    held = getattr(importlib.import_module(WHERE[name]), name)
    assert getattr(netvlad, name) is held
    assert getattr(netvlad, name) is held


@pytest.mark.parametrize("name", WHERE)
def test_a_name_is_a_documented_function_or_class_and_no_module(name):
    held = getattr(netvlad, name)
    assert not isinstance(held, ModuleType)
    assert inspect.isclass(held) or callable(held)
    assert inspect.getdoc(held)


def test_the_names_are_listed():
    assert sorted(netvlad.__all__) == sorted({"__version__", *WHERE})
    assert set(dir(netvlad)) == set(WHERE)
    listed = next(node.value for node in STUB.body if isinstance(node, ast.Assign))
    assert ast.literal_eval(listed) == sorted(netvlad.__all__)


def test_rooms_do_not_bear_the_names_of_functions():
    """Importing every module leaves every name what it was."""
    script = (
        "import pkgutil, importlib, types, netvlad\n"
        "for m in pkgutil.walk_packages(netvlad.__path__, 'netvlad.'):\n"
        "    if m.name != 'netvlad.__main__': importlib.import_module(m.name)\n"
        "print([n for n in netvlad.__all__ if isinstance(getattr(netvlad, n), types.ModuleType)])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_version_is_the_packages():
    assert netvlad.__version__ == metadata.version("netvlad")


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="locate"):
        _ = netvlad.locate
    assert not hasattr(netvlad, "_nothing")


def test_importing_it_imports_nothing_heavy():
    script = f"import sys, netvlad; dir(netvlad); print([m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
