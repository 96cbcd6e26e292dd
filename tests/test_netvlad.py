from __future__ import annotations

import importlib
import subprocess
import sys
from importlib import metadata

import pytest

import netvlad

HEAVY = ("torch", "timm", "faiss", "lance", "numpy", "matplotlib", "pyarrow", "scipy", "PIL")


@pytest.mark.parametrize("name", netvlad._WHERE)
def test_a_name_is_what_its_module_holds_however_often_it_is_asked_for(name):
    held = getattr(importlib.import_module(netvlad._WHERE[name]), name)
    assert getattr(netvlad, name) is held
    assert getattr(netvlad, name) is held


def test_the_names_are_listed():
    assert dir(netvlad) == sorted(netvlad.__all__) == sorted({"__version__", *netvlad._WHERE})


def test_the_version_is_the_packages():
    assert netvlad.__version__ == metadata.version("netvlad")


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'netvlad' has no attribute 'locate'"):
        _ = netvlad.locate
    assert not hasattr(netvlad, "_nothing")


def test_importing_it_imports_nothing_heavy():
    script = f"import sys, netvlad; dir(netvlad); print([m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
