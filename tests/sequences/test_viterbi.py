from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from netvlad.sequences.viterbi import best_path


def test_the_best_of_all_paths():
    rng = np.random.default_rng(0)
    sizes = (3, 2, 4, 3)
    values = [rng.standard_normal(n) for n in sizes]
    going = [rng.standard_normal((a, b)) for a, b in pairwise(sizes)]

    def total(path):
        stays = sum(value[state] for value, state in zip(values, path, strict=True))
        return stays + sum(step[a, b] for step, a, b in zip(going, path[:-1], path[1:], strict=True))

    best = max(product(*map(range, sizes)), key=total)
    assert best_path(values[0], zip(going, values[1:], strict=True)) == list(best)


def test_a_single_time():
    assert best_path(np.array([0.0, 2.0, 2.0]), []) == [1]
