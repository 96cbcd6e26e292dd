from __future__ import annotations

import numpy as np
import pytest

from netvlad.explanation.occlusion import explain_by_occlusion, occluded, windows_of


class MeanColours:
    """Describes an image by the mean red of its quarters: what a window takes can be computed by hand."""

    name, dim, resize, smallest, takes_masks, identity, method = "colours", 4, None, 1, False, "", None

    def describe(self, images):
        rows = []
        for image in images:
            h, w = image.shape[0] // 2, image.shape[1] // 2
            red = image[..., 0].astype(np.float64)
            rows.append([red[:h, :w].mean(), red[:h, w:].mean(), red[h:, :w].mean(), red[h:, w:].mean()])
        rows = np.array(rows) + 1e-9
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("shape", [(48, 96), (96, 48), (5, 7), (1, 1), (2, 300)])
def test_windows_cover_everything(shape):
    windows = windows_of(*shape)
    covered = np.zeros(shape, int)
    for rows, columns in windows.slices(*shape):
        covered[rows, columns] += 1
    assert covered.min() >= 1
    assert covered.max() <= 4


def test_what_is_lost_under_a_window_by_hand():
    image = np.zeros((12, 12, 3), np.uint8)
    image[:6, :6, 0] = 240  # the mean is 60
    other = np.array([1, 0, 0, 0], np.float32)
    lost = occluded(MeanColours(), image, other).reshape(11, 11)
    assert lost[0, 0] == pytest.approx(0, abs=1e-6)  # still the only red quarter
    covered = np.array([240, 0, 0, 60 * 4 / 36])
    assert lost[10, 10] == pytest.approx(1 - covered[0] / np.linalg.norm(covered), abs=1e-6)


def test_the_map_is_high_where_the_agreement_is():
    query, match = np.full((60, 80, 3), 40, np.uint8), np.full((40, 40, 3), 40, np.uint8)
    query[:30, :40] = query[30:, 40:] = 250
    match[:20, :20] = 250  # agrees in the upper left alone
    found = explain_by_occlusion(MeanColours(), query, match)
    vectors = MeanColours().describe([query, match])
    assert found.similarity == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-6)
    assert (found.exact, found.table, found.query_constant) == (False, None, None)
    assert found.query_map.shape == (9, 12)
    assert found.match_map.shape == (12, 12)
    assert found.query_map[:3, :4].min() > 0 > found.query_map[6:, 8:].max()
