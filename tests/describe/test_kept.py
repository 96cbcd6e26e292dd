from __future__ import annotations

import numpy as np
import pytest

from netvlad.describe.kept import KeptDescriber
from netvlad.types import Describer


class Sums:
    """Describes a photo by its first pixel, and counts how often it is asked."""

    name, dim, resize, smallest, takes_masks, identity, method = "sums", 3, None, 1, False, "sums-1", None
    asked = 0

    def describe(self, images):
        self.asked += len(images)
        return np.array([image[0, 0] for image in images], np.float32)


@pytest.fixture
def photos():
    return [np.full((2, 2, 3), i, np.uint8) for i in (5, 7, 5)]


def test_describes_no_photo_twice(tmp_path, photos):
    model = Sums()
    kept = KeptDescriber(model, tmp_path / "vectors")
    assert isinstance(kept, Describer)
    with kept.rows:
        first = kept.describe(photos)
    assert first.tolist() == [[5] * 3, [7] * 3, [5] * 3]
    assert model.asked == 2
    again = KeptDescriber(model, tmp_path / "vectors")
    with again.rows:
        assert np.array_equal(again.describe(photos), first)
    assert model.asked == 2


def test_vectors_of_another_model_are_not_used(tmp_path, photos):
    with (one := KeptDescriber(Sums(), tmp_path / "vectors")).rows:
        one.describe(photos)
    other = Sums()
    other.identity = "sums-2"
    with (two := KeptDescriber(other, tmp_path / "vectors")).rows:
        two.describe(photos)
    assert other.asked == 2
