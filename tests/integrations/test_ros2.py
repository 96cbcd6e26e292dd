from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from netvlad.loops.options import Loop

FILE = Path(__file__).parents[2] / "integrations" / "ros2" / "netvlad_loops.py"


@pytest.fixture
def adapter(monkeypatch):
    """The adapter, with a stand-in of what it takes from ROS 2."""

    class Node:
        def __init__(self, name):
            self.name, self.topics, self.sent, self.warned = name, {}, [], []

        def create_publisher(self, kind, topic, depth):
            return SimpleNamespace(publish=lambda message: self.sent.append((topic, message.data)))

        def create_subscription(self, kind, topic, callback, qos):
            self.topics[topic] = callback

        def get_logger(self):
            return SimpleNamespace(warning=self.warned.append)

    parts = {
        "rclpy": {},
        "rclpy.node": {"Node": Node},
        "rclpy.qos": {"qos_profile_sensor_data": None},
        "sensor_msgs": {},
        "sensor_msgs.msg": {"Image": object},
        "std_msgs": {},
        "std_msgs.msg": {"String": SimpleNamespace},
    }
    for name, held in parts.items():
        module = ModuleType(name)
        module.__dict__.update(held)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("netvlad_loops", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def image(pixels: np.ndarray, encoding: str, sec: int = 0, padding: int = 0):
    rows = pixels.reshape(len(pixels), -1)
    data = np.pad(rows, ((0, 0), (0, padding)))
    stamp = SimpleNamespace(sec=sec, nanosec=500_000_000)
    size = {"height": pixels.shape[0], "width": pixels.shape[1], "step": data.shape[1]}
    return SimpleNamespace(data=data.tobytes(), encoding=encoding, header=SimpleNamespace(stamp=stamp), **size)


def test_pixels_of_every_encoding_are_rgb(adapter):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert (adapter.to_rgb(image(pixels, "rgb8", padding=5)) == pixels).all()
    assert (adapter.to_rgb(image(pixels[..., ::-1], "bgr8")) == pixels).all()
    assert (adapter.to_rgb(image(pixels[..., 0], "mono8")) == pixels[..., :1]).all()


def test_loops_are_published_and_a_bad_frame_ends_nothing(adapter):
    loop = Loop(9, 1, 3.5, 0.5, 0.9, 0.3, 80)
    seen = []

    class Detector:
        def add(self, pixels, t):
            seen.append(t)
            return [loop]

    node = adapter.make_node(Detector())
    node.topics["image"](image(np.zeros((2, 2, 3), np.uint8), "rgb8", sec=3))
    node.topics["image"](image(np.zeros((2, 2, 2), np.uint8), "16UC1"))
    assert seen == [3.5]
    assert [(topic, Loop(**json.loads(data))) for topic, data in node.sent] == [("loops", loop)]
    assert len(node.warned) == 1
