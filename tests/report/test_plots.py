import numpy as np
import pytest
from PIL import Image

from netvlad.benchmarks.protocol import Protocol
from netvlad.evaluation.result import Evaluation, MethodResult
from netvlad.places import Places
from netvlad.report.plots import recall_curves, reliability_diagram, wilson


def evaluation(*recalls, names=None):
    places = Places.build(path=["a.jpg", "b.jpg"], lat=[0.0, 0.001], lon=[9.0, 9.0])
    ids = np.zeros((2, 1), np.int64)
    methods = [
        MethodResult(name, ids, ids.astype(np.float32), ids == 0, recall, {})
        for name, recall in zip(names or map(str, range(len(recalls))), recalls, strict=False)
    ]
    return Evaluation(places, places, Protocol(), methods, np.ones(2, bool), np.ones(2, bool))


def ink(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_recall_curves_draws_every_method_in_its_own_colour(tmp_path):
    many = evaluation({1: 0.5, 5: 0.7, 10: 0.8, 100: 1.0}, {1: 0.6, 5: 0.8, 10: 0.9, 100: 1.0})
    assert recall_curves(many, tmp_path / "curve.png") == tmp_path / "curve.png"
    pixels = ink(tmp_path / "curve.png").reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (pixels == colour).all(axis=1).sum() > 200
    assert [p.name for p in tmp_path.iterdir()] == ["curve.png"]


def test_recall_curves_lets_labels_that_meet_stand_apart(tmp_path):
    recalls = [{1: 0.5, 10: 0.9 + i / 1000} for i in range(12)]
    recall_curves(evaluation(*recalls), tmp_path / "twelve.png")
    recall_curves(evaluation(*recalls[:2]), tmp_path / "two.png")
    assert ink(tmp_path / "twelve.png").shape[0] > ink(tmp_path / "two.png").shape[0]


@pytest.mark.parametrize("recall", [{1: 0.0}, {1: 1.0}, {3: 0.5}, {50: 0.2, 100: 0.4}, {1: np.nan, 5: 0.5}])
def test_recall_curves_takes_any_single_method(tmp_path, recall):
    named = evaluation(recall, names=["$\\broken{ _name^ " + "x" * 80])
    assert ink(recall_curves(named, tmp_path / "curve.png")).std() > 0


def test_recall_curves_without_a_judged_query_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no query was judged"):
        recall_curves(evaluation({1: np.nan}), tmp_path / "curve.png")
    assert not list(tmp_path.iterdir())


def test_calibration_error_by_hand(tmp_path):
    # bin 0.1..0.2: confidence 0.1, 1 of 2 right; bin 0.9..1: confidence 0.9, 2 of 3 right
    by_hand = 2 / 5 * abs(1 / 2 - 0.1) + 3 / 5 * abs(2 / 3 - 0.9)
    predicted, correct = np.array([0.1, 0.1, 0.9, 0.9, 0.9]), np.array([0, 1, 1, 1, 0], bool)
    assert reliability_diagram(predicted, correct, tmp_path / "r.png") == pytest.approx(by_hand)
    assert ink(tmp_path / "r.png").std() > 0


def test_calibration_error_with_one_bin_is_the_difference_of_the_means(tmp_path):
    predicted, correct = np.array([0.0, 0.5, 1.0, 1.0]), np.array([0, 0, 1, 0], bool)
    assert reliability_diagram(predicted, correct, tmp_path / "r.png", bins=1) == pytest.approx(0.625 - 0.25)


def test_edges_belong_to_the_upper_bin_and_one_to_the_last(tmp_path):
    # 0.3 with 0.35, not with 0.25; 1.0 with 0.95
    predicted, correct = np.array([0.25, 0.3, 0.35, 0.95, 1.0]), np.array([1, 0, 0, 0, 1], bool)
    by_hand = (1 * abs(1 - 0.25) + 2 * abs(0 - 0.325) + 2 * abs(0.5 - 0.975)) / 5
    assert reliability_diagram(predicted, correct, tmp_path / "r.png") == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("predicted", "correct"),
    [([], []), ([0.5], [True, False]), ([1.2], [True]), ([np.nan], [True]), ([[0.5]], [[True]])],
)
def test_reliability_of_nonsense_is_refused(tmp_path, predicted, correct):
    with pytest.raises(ValueError, match="confidence"):
        reliability_diagram(np.array(predicted), np.array(correct), tmp_path / "r.png")


def test_wilson_against_published_values():
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    low, high = wilson(np.array([81 / 263, 15 / 148, 0, 1 / 29]), np.array([263, 148, 20, 29]))
    np.testing.assert_allclose(low, [0.2553, 0.0624, 0.0, 0.0061], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1605, 0.1611, 0.1718], atol=5e-5)


def test_drawing_leaves_pyplot_alone(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from netvlad.report.plots import reliability_diagram as r; "
        f"assert 'matplotlib' not in sys.modules; r([.5], [True], {str(tmp_path / 'r.png')!r}); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
