from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from netvlad import _moved


@pytest.mark.parametrize("old", _moved.MODULES)
def test_every_module_has_moved_to_one_that_is_there(old):
    importlib.import_module(f"netvlad.{_moved.MODULES[old]}")


@pytest.mark.parametrize("old", _moved.NAMES)
def test_every_name_has_moved_to_one_that_is_there(old):
    module, _, name = _moved.NAMES[old].rpartition(".")
    assert hasattr(importlib.import_module(f"netvlad.{module}"), name)


def test_what_is_below_a_package_moves_along():
    assert _moved.new_path("train.trainer") == "training.trainer"
    assert _moved.new_path("evaluate.truth") == "evaluation.ground_truth"
    assert _moved.new_path("describe.vlad") is None
    assert _moved.new_path("training.trainer") is None


SCRIPT = """
import warnings
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    from netvlad.describe.zoo import load
    from netvlad.describe.trunk import Trunk
    from netvlad.train import trainer
    import netvlad.evaluate.recall
    from netvlad.evaluate import evaluate
    from netvlad.places import Camera, within
    from netvlad.train.ranking import Ranking
    from netvlad.train import loss
told = [str(one.message) for one in told if one.category is DeprecationWarning]
assert any("netvlad.describe.zoo has moved to netvlad.pretrained.zoo" in text for text in told), told
import netvlad
from netvlad.describe.backbone import Backbone
from netvlad.training import trainer as moved
assert load is netvlad.load and Trunk is Backbone and trainer is moved
from netvlad.panoramas import Camera as camera
from netvlad.training import losses
from netvlad.training.tuple_objective import TupleObjective
assert Camera is camera and Ranking is TupleObjective and loss is losses
assert any("netvlad.places.within has moved to netvlad.places.neighbours.radius_neighbors" in text for text in told)
assert callable(netvlad.evaluate) and callable(netvlad.train)
from netvlad.evaluation.run import evaluate as judged
assert evaluate is judged
"""


def test_old_paths_import_with_a_warning():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
