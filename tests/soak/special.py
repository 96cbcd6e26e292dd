"""What stands where a photo should and is no regular file, or an enormous one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from soak.mutate import Rng, pick

KINDS = (
    "fifo", "socket", "sparse", "sparse bmp", "folder", "loop", "dangling", "zeros", "no permission", "empty", "null",
)  # fmt: skip


def make_special(path: Path, photo: bytes, rng: Rng) -> str:
    """Make one of KINDS at `path`, which does not exist yet, and return which. photo: the content of a good JPEG."""
    kind = pick(rng, KINDS)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        _bind(path)
    elif kind.startswith("sparse"):
        head = photo if kind == "sparse" else b"BM" + bytes(200)
        path.write_bytes(head)
        os.truncate(path, int(pick(rng, (6 << 30, 1 << 40))))
    elif kind == "folder":
        path.mkdir()
    elif kind in ("loop", "dangling", "zeros", "null"):
        target = {"loop": path.name, "dangling": "nowhere.jpg", "zeros": "/dev/zero", "null": "/dev/null"}[kind]
        path.symlink_to(target)
    else:
        path.write_bytes(b"" if kind == "empty" else photo)
        if kind == "no permission":
            path.chmod(0)
    return str(kind)


def _bind(path: Path) -> None:
    """A socket; its path may have about 100 characters only, so it is bound from its folder."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(here)
