"""What the machine refuses or lacks, in plain words: memory, room on the disk, open files, packages."""

from __future__ import annotations

_KEPT = "what was finished is kept, and the same command goes on from there"
_WORDS = {  # parts of messages of the system, torch, OpenCV, Arrow and Lance, in lower case
    "no space left": f"the disk is full; {_KEPT} once there is room",
    "disk quota exceeded": f"the disk quota is used up; {_KEPT} once there is room",
    "file too large": f"a file is larger than the limit allows (ulimit -f); {_KEPT} with a higher limit",
    "too many open files": f"more files are open than the limit allows (ulimit -n); {_KEPT} with a higher limit",
    "start new thread": f"more threads are needed than the limit allows (ulimit -u); {_KEPT} with a higher limit",
    "allocate memory": "",
    "out of memory": "",
    "insufficient memory": "",
    "failed to map segment": "",
}
_MEMORY = f"the memory does not suffice: fewer --workers need less, and a smaller --resize; {_KEPT}"
_LEFT_OUT = ("torch", "torchvision", "timm", "matplotlib")  # where only ONNX networks are wanted (docs/export.md)


def explained(error: BaseException) -> str | None:
    """What the machine refused or lacks, and what then; None for an error of another kind."""
    if isinstance(error, ModuleNotFoundError) and error.name in _LEFT_OUT:
        return f"this needs {error.name}, which is not installed: pip install {error.name}"
    if isinstance(error, MemoryError):
        return f"{_MEMORY} ({error})" if str(error) else _MEMORY
    text = str(error)
    for part, words in _WORDS.items():
        if part in text.lower():
            return f"{words or _MEMORY} ({text[:300]})"
    return None
