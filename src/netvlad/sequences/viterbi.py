"""The likeliest path through states that follow each other (Viterbi, 1967)."""

from __future__ import annotations

from collections.abc import Iterable

from netvlad.types import Array, IntArray


def best_path(first: Array, steps: Iterable[tuple[Array, Array]]) -> list[int]:
    """The state at each time on the path with the largest sum; the first of equal ones.

    first (n,): values of the states at the beginning. steps: for each later time the values of going from each state
    before to each state then, (n, m), and of being in these, (m,).
    """
    total, backs = first, list[IntArray]()
    for going, being in steps:
        through = total[:, None] + going
        backs.append(through.argmax(axis=0))
        total = through.max(axis=0) + being
    path = [int(total.argmax())]
    for back in reversed(backs):
        path.append(int(back[path[-1]]))
    return path[::-1]
