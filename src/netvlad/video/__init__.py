"""Frames in order of time: of videos, folders, lists, and the layouts of TUM and KITTI; and the poses beside them."""
