"""Where networks run: the processor, or a graphics card. Nothing here imports torch before a device is asked for."""

from __future__ import annotations

import os
import re

from netvlad.errors import ModelError

VARIABLE = "NETVLAD_DEVICE"
NAMES = re.compile(r"cpu|mps|cuda(:\d+)?")


def chosen_device() -> str | None:
    """The device that $NETVLAD_DEVICE names, None where it names none."""
    return os.environ.get(VARIABLE) or None


def choose_device(name: str) -> None:
    """Let networks that are loaded from now on run on a device, in this process and those that it starts.

    Raises ModelError as `check_device`.
    """
    check_device(name)
    os.environ[VARIABLE] = name


def network_device() -> str:
    """Where a network that is loaded now runs: as $NETVLAD_DEVICE says, else a card of Nvidia's, else the processor.

    Raises ModelError for a device that is not here.
    """
    import torch

    name = chosen_device()
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(name)
    return name


def check_device(name: str) -> None:
    """Raise ModelError, with what is here, for what is no device or not here; "cpu" is everywhere."""
    if name == "cpu":
        return
    found = devices()
    if not NAMES.fullmatch(name):
        raise ModelError(f"no device {name!r}: choose cpu, cuda, cuda:1 or mps; here is {', '.join(found)}")
    if (f"{name}:0" if name == "cuda" else name) not in found:
        raise ModelError(f"device {name} is not here, or this torch is built without it; here is {', '.join(found)}")


def devices() -> list[str]:
    """Devices that torch sees here: "cpu", and "cuda:0", "cuda:1", ..., "mps"; without torch "cpu" alone."""
    try:
        import torch
    except ImportError:  # ONNX networks do without
        return ["cpu"]

    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else [])]
