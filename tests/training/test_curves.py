from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from netvlad.training import Config
from netvlad.training.curves import draw_curves
from netvlad.training.record import Epoch, Record


@pytest.mark.parametrize("recall", [None, [0.5, 0.75, 0.7]])
def test_loss_and_recall_over_epochs_and_hours(tmp_path, monkeypatch, recall):
    drawn = []
    plot = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, x, y, *a, **k: (drawn.append((x, y)), plot(self, x, y, *a, **k))[1])
    record = Record(Config(), "layer3", 9, 0, recall=recall and 0.25, best=2)
    for i in range(3):
        record.epochs.append(Epoch(i + 1, 1e-3, 1000, loss=0.3 - 0.1 * i, recall=recall and recall[i], wall=1800.0))
    draw_curves(record, tmp_path / "curves.png")
    pixels = np.asarray(Image.open(tmp_path / "curves.png"))
    assert pixels.std() > 5
    lines = [([float(v) for v in np.atleast_1d(x)], [float(v) for v in np.atleast_1d(y)]) for x, y in drawn]
    loss = pytest.approx([0.3, 0.2, 0.1])
    assert ([1, 2, 3], loss) in lines
    assert ([0.5, 1.0, 1.5], loss) in lines
    if recall:
        assert ([0, 1, 2, 3], [25, 50, 75, 70]) in lines
        assert ([0, 0.5, 1.0, 1.5], [25, 50, 75, 70]) in lines
        assert ([2], [75]) in lines
    else:
        assert len(lines) == 2
