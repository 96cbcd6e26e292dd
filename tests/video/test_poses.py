from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.video.poses import read_camera, read_poses


def test_poses_of_tum(tmp_path):
    half = np.sin(np.pi / 4)
    (tmp_path / "t.txt").write_text(f"# t x y z qx qy qz qw\n2 3 4 9 0 0 {half} {half}\n1 1 2 9 0 0 0 1\n")
    poses = read_poses(tmp_path / "t.txt")
    assert poses.t.tolist() == [1, 2]
    assert np.allclose(poses.yaw, [0, np.pi / 2])
    xy, yaw = poses.at(np.array([1.5, 2.05, 9.0]))
    assert np.allclose(xy[:2], [[2, 3], [3, 4]])
    assert yaw[0] == pytest.approx(np.pi / 4)
    assert np.isnan(xy[2]).all()


def test_poses_of_kitti_look_along_z(tmp_path):
    ahead = "1 0 0 5 0 1 0 0 0 0 1 7"
    right = "0 0 1 6 0 1 0 0 -1 0 0 8"  # the camera's z axis is the world's x axis
    (tmp_path / "poses.txt").write_text(f"{ahead}\n{right}\n")
    with pytest.raises(NetvladError, match="times"):
        read_poses(tmp_path / "poses.txt")
    (tmp_path / "times.txt").write_text("0\n0.1\n")
    poses = read_poses(tmp_path / "poses.txt")
    assert poses.xy.tolist() == [[5, 7], [6, 8]]
    assert np.allclose(poses.yaw, [np.pi / 2, 0])


def test_intrinsics(tmp_path):
    wanted = [[500, 0, 320], [0, 510, 240], [0, 0, 1]]
    (tmp_path / "k.txt").write_text("500, 510, 320, 240\n")
    assert read_camera(tmp_path / "k.txt").tolist() == wanted
    (tmp_path / "calib.txt").write_text("P0: 1 0 0 0 0 1 0 0 0 0 1 0\nP2: 500 0 320 45 0 510 240 0 0 0 1 0\n")
    assert read_camera(tmp_path / "calib.txt").tolist() == wanted


@pytest.mark.parametrize("text", ["", "1 2 3", "a b c d", "0 1 2 3", "nan 1 2 3"])
def test_refuses_other_files(tmp_path, text):
    (tmp_path / "f.txt").write_text(text)
    for read in (read_camera, read_poses):
        with pytest.raises(NetvladError) as told:
            read(tmp_path / "f.txt")
        assert told.value.path
