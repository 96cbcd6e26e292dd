"""A ROS 2 node: images in, loops out as JSON. Tested against a stand-in of rclpy, not on a robot.

python netvlad_loops.py MODEL_FOLDER --ros-args -r image:=/camera/image_raw
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import numpy as np

CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1}


def to_rgb(message: Any) -> np.ndarray:
    """The pixels (H, W, 3) uint8 RGB of a sensor_msgs/Image. Raises ValueError for other encodings."""
    if message.encoding not in CHANNELS:
        raise ValueError(f"images come as {message.encoding}; {', '.join(CHANNELS)} are read")
    count = CHANNELS[message.encoding]
    rows = np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.step)
    pixels = rows[:, : message.width * count].reshape(message.height, message.width, count)
    if message.encoding == "bgr8":
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def make_node(detector: Any) -> Any:
    """A node that gives `image` to the detector and publishes each loop on `loops` as std_msgs/String."""
    from rclpy.node import Node
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image
    from std_msgs.msg import String

    class LoopNode(Node):
        def __init__(self) -> None:
            super().__init__("netvlad_loops")
            self.publisher = self.create_publisher(String, "loops", 10)
            self.create_subscription(Image, "image", self.take, qos_profile_sensor_data)

        def take(self, message: Any) -> None:
            t = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
            try:
                loops = detector.add(to_rgb(message), t)
            except Exception as e:  # one bad message must not end the node
                self.get_logger().warning(f"frame at {t:.3f} s: {e}")
                return
            for loop in loops:
                self.publisher.publish(String(data=json.dumps(asdict(loop))))

    return LoopNode()


def main() -> None:
    import rclpy

    import netvlad

    rclpy.init(args=sys.argv)
    node = make_node(netvlad.LoopDetector(netvlad.load(sys.argv[1])))
    try:
        rclpy.spin(node)
    finally:
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    main()
