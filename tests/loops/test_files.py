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


def round_trip(drift: float) -> tuple[np.ndarray, np.ndarray]:
    """Poses of two rounds of a circle, 40 each, whose turns are too large by `drift` radians."""
    yaw = (2 * np.pi / 40 + drift) * np.arange(80)
    ahead = np.stack([np.cos(yaw[:-1]), np.sin(yaw[:-1])], 1)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(2 * ahead, axis=0)]), yaw


def test_g2o_closes_the_loops_that_are_written(tmp_path):
    g2o = pytest.importorskip("g2opy", reason="g2opy, which has no wheels for this Python, is not installed")
    true, _ = round_trip(0.0)
    drifted = round_trip(0.004)
    loops = [Loop(i + 40, i, i + 40.0, float(i), 1, 0, 100, heading=0.0, bearing=0.0) for i in range(40)]
    write_loops(tmp_path, loops, [str(i) for i in range(80)], np.arange(80.0), drifted)
    graph = g2o.SparseOptimizer()
    graph.set_algorithm(g2o.OptimizationAlgorithmLevenberg(g2o.BlockSolverX(g2o.LinearSolverEigenX())))
    assert graph.load(str(tmp_path / "loops.g2o"))
    assert len(graph.vertices()) == 80
    edges = {(edge.vertex(0).id(), edge.vertex(1).id()): edge for edge in graph.edges()}
    assert set(edges) == {*((i, i + 1) for i in range(79)), *((i, i + 40) for i in range(40))}
    assert np.allclose(edges[3, 43].measurement().to_vector(), [1, 0, 0])
    assert np.allclose(edges[3, 43].information(), np.diag([0.01, 1, 100]))
    graph.vertex(0).set_fixed(True)
    graph.initialize_optimization()
    graph.compute_active_errors()
    assert all(edges[i, i + 1].chi2() < 1e-6 for i in range(79))  # neighbours are joined as the poses say
    graph.optimize(30)
    closed = np.array([graph.vertex(i).estimate().translation() for i in range(80)])
    off = [np.linalg.norm(xy - true, axis=1).mean() for xy in (drifted[0], closed)]
    assert off[1] < 0.2 * off[0]


def test_evo_reads_the_poses(tmp_path):
    file_interface = pytest.importorskip("evo.tools.file_interface", reason="evo (GPL, a tool apart) is not installed")
    write_loops(tmp_path, LOOPS, NAMES, TIMES, (XY, YAW))
    track = file_interface.read_tum_trajectory_file(tmp_path / "trajectory.tum")
    assert track.timestamps.tolist() == [0, 1, 2]
    assert np.allclose(track.positions_xyz[:, :2], XY[:3])
    assert track.check()[0]
    assert np.allclose(track.get_orientations_euler()[:, 2], YAW[:3])
