from __future__ import annotations

import pytest

from netvlad import load
from netvlad.pretrained import measured


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of this test, and few photos."""
    monkeypatch.setenv("NETVLAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measured, "SIZE", (96, 128))
    return tmp_path / "cache"


def test_times_are_kept_and_read(cache):
    assert measured.read_times() == {}
    found = dict(
        measured.measure_times(["tf_efficientnet_lite0-max", "no such model", "tf_efficientnet_lite0-netvlad"])
    )
    assert found["tf_efficientnet_lite0-max"] > 0
    assert "no such model" in found["no such model"]
    kept = measured.read_times()
    assert kept.keys() == {"tf_efficientnet_lite0-max", "tf_efficientnet_lite0-netvlad"}
    assert kept["tf_efficientnet_lite0-netvlad"] == pytest.approx(found["tf_efficientnet_lite0-netvlad"], abs=0.06)


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "b"}', "{"])
def test_a_damaged_file_is_as_none(cache, text):
    assert list(measured.measure_times(["tf_efficientnet_lite0-max"]))
    (file,) = cache.iterdir()
    file.write_text(text)
    assert measured.read_times() == {}


@pytest.mark.parametrize("told", [m for m in measured.MEASURED if not m.name.startswith("resnet18")])
def test_the_numbers_of_a_vector_are_the_model_s(told):
    assert load(told.name).dim == told.dim
