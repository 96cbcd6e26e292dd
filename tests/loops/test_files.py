from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from netvlad.loops.files import g2o_lines, write_loops
from netvlad.loops.options import Loop

LOOPS = [Loop(3, 0, 3.0, 0.0, 0.9, 0.4, 50, heading=30.0, bearing=90.0), Loop(2, 1, 2.0, 1.0, 0.8, 0.5, None)]
NAMES, TIMES = [f"{i}.png" for i in range(4)], np.arange(4.0)
XY = np.array([[0, 0], [2, 0], [2, 2], [np.nan, np.nan]])
YAW = np.array([0, np.pi / 2, np.pi / 2, np.nan])


def test_writes_what_was_found(tmp_path):
    write_loops(tmp_path / "out", LOOPS, NAMES, TIMES, (XY, YAW))
    with open(tmp_path / "out" / "loops.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["query_frame"], row["match_frame"], row["inliers"]) for row in rows] == [
        ("3.png", "0.png", "50"),
        ("2.png", "1.png", ""),
    ]
    data = json.loads((tmp_path / "out" / "loops.json").read_text())
    assert Loop(**data["loops"][0]) == LOOPS[0]
    assert len(data["frames"]) == 4
    assert np.loadtxt(tmp_path / "out" / "loops.tum").tolist() == [[0, 3], [1, 2]]
    assert np.loadtxt(tmp_path / "out" / "trajectory.tum").shape == (3, 8)


def test_edges_are_in_the_axes_of_the_vehicle():
    lines = [line.split() for line in g2o_lines(LOOPS, 4, (XY, YAW))]
    assert [line[0] for line in lines].count("VERTEX_SE2") == 4
    edges = {(int(e[1]), int(e[2])): np.array(e[3:], float) for e in lines if e[0] == "EDGE_SE2"}
    assert set(edges) == {(0, 1), (1, 2), (0, 3)}  # the loop without a relative pose is left out
    assert edges[0, 1][:3] == pytest.approx([2, 0, np.pi / 2], abs=1e-5)
    assert edges[1, 2][:3] == pytest.approx([2, 0, 0], abs=1e-5)
    x, y, turn, xx, xy, _, yy, _, tt = edges[0, 3]
    assert (x, y, turn) == pytest.approx((0, -1, -np.pi / 6), abs=1e-5)  # to the right, turned right
    assert yy < 0.1 * xx
    assert abs(xy) < 1e-9
    assert tt > 0


def test_more_inliers_say_more():
    few, many = (float(g2o_lines([Loop(1, 0, 1, 0, 1, 0, n, 0.0, 0.0)], 2)[-1].split()[-1]) for n in (20, 80))
    assert many == pytest.approx(4 * few)
