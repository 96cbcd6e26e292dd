"""Networks as ONNX files: photos in, vectors out by onnxruntime. Nothing here imports torch."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Self

from netvlad.describe.device import chosen_device
from netvlad.errors import ImageError, ModelError, first_line
from netvlad.images.read import read_image
from netvlad.runtime.artifacts import read_card, read_file, write_file
from netvlad.runtime.files import refuse_irregular, sha256
from netvlad.types import FloatArray, ImageLike

SETTINGS = "netvlad"  # entry of the file's metadata
FORMAT = 1
KIND = "onnx"  # of a saved folder
PIXELS, VECTORS = "pixels", "vectors"  # input (n, H, W, 3) uint8 RGB and output (n, dim) float32 of the network


class OnnxDescriber:
    """A describer by a file that `netvlad export --to onnx` wrote; pixels are normalised and vectors whitened in it.

    Transparent parts of a photo count as white. OMP_NUM_THREADS says on how many threads it runs. Raises ModelError
    for a file that cannot be read or lacks the settings, and without onnxruntime.
    """

    takes_masks = False
    method = None

    def __init__(self, file: str | os.PathLike[str]) -> None:
        refuse_irregular(file, error=ModelError)
        self.file = Path(file)
        self.identity = sha256(file)
        self._session = _session(self.file)
        settings = _settings(self._session.get_modelmeta().custom_metadata_map, self.file)
        self.name, self.dim = str(settings["name"]), int(settings["dim"])
        self.resize: int | None = settings["resize"]
        self.smallest = int(settings["smallest"])
        self.architecture = settings

    def describe(self, images: Sequence[ImageLike]) -> FloatArray:
        """Describe images one by one, so that no vector depends on the others: (N, dim) float32.

        Raises ImageError for a photo that cannot be read or is too small.
        """
        out = np.empty((len(images), self.dim), np.float32)
        for row, image in enumerate(images):
            pixels = read_image(image, resize=self.resize)
            height, width = pixels.shape[:2]
            if min(height, width) < self.smallest:
                raise ImageError(f"is too small ({width}x{height}; at least {self.smallest} pixels a side)")
            out[row] = self._session.run([VECTORS], {PIXELS: pixels[None]})[0][0]
        return out

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Copy the file as model.onnx and write card.json beside it, as a map keeps them."""
        facts = {"name": self.name, "dim": self.dim, "architecture": self.architecture}
        return write_file(folder, "model.onnx", self.file, kind=KIND, facts=facts)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote. Raises ModelError where files are missing or broken, or do not fit each other."""
        return cls(read_file(folder, read_card(folder, error=ModelError, kinds=[KIND]), error=ModelError))


def _session(file: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as e:
        raise ModelError("an ONNX network needs onnxruntime: pip install 'netvlad[onnx]'", path=file) from e
    if (device := chosen_device()) not in (None, "cpu"):
        raise ModelError(f"is an ONNX network, which runs on the cpu, and not on {device}", path=file)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit():
        options.intra_op_num_threads = int(threads)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as netvlad.runtime.threads
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime has a class for each of its codes, and no common one
        raise ModelError(f"cannot be read as an ONNX network ({first_line(e)})", path=file) from e


def _settings(metadata: dict[str, str], file: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(metadata[SETTINGS])
        version = settings["format"]
        missing = {"name", "dim", "resize", "smallest"} - set(settings)
    except (KeyError, ValueError, TypeError, RecursionError) as e:
        raise ModelError("is an ONNX network without the settings that `netvlad export` writes", path=file) from e
    if version != FORMAT or missing:
        raise ModelError(f"has settings of format {version!r}; this version reads format {FORMAT}", path=file)
    return settings
