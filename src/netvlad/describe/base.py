"""Base of this package's describers: an optional whitening, an identity, a saved folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import Self

from netvlad.describe.model_card import model_card
from netvlad.describe.wccn import WCCN
from netvlad.describe.whitening import Whitening, make_whitening
from netvlad.errors import ModelError, first_line
from netvlad.runtime.artifacts import FILE, Card, digest, read_arrays, read_card, write_in_place
from netvlad.runtime.hugging_face import upload_folder
from netvlad.types import Array, FloatArray, ImageLike, Method, Parts

# pixels of one forward pass, so that VGG-16 at 640x480 fits a small machine
PIXELS_AT_ONCE = {"cpu": 1 << 21, "cuda": 1 << 24}


class BaseDescriber(nn.Module):
    """A `Describer` that is `Fittable` and `Saveable`; a subclass has no cluster centres unless it says so.

    kind: the kind of artifact that `save` writes. whitening: applied to the pooled vectors, None where there is none.
    fitted_on: facts about the photos of `fit` and of training.
    """

    kind: str
    takes_masks: bool = True
    clusters: int = 0

    def __init__(self, name: str, resize: int | None, whitening: Whitening | WCCN | None = None) -> None:
        super().__init__()
        self.name, self.resize, self.whitening = name, resize, whitening
        self.fitted_on: dict[str, Any] = {}

    @property
    def smallest(self) -> int:
        """Least side of a photo in pixels."""
        return 1

    @property
    def pooled_dim(self) -> int:
        """Length of a vector before whitening."""
        raise NotImplementedError

    @property
    def architecture(self) -> dict[str, Any]:
        """Everything but weights that a vector depends on, as JSON."""
        raise NotImplementedError

    @property
    def method(self) -> Method | None:
        """Key of published results to compare with; None where there can be none."""
        return None

    def describe(self, images: Sequence[ImageLike]) -> FloatArray:
        """Describe images: (N, dim) float32, rows of unit length. Raises ImageError, ModelError."""
        raise NotImplementedError

    @property
    def provenance(self) -> dict[str, Any] | None:
        """Source and licence of weights that came from elsewhere."""
        return None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.whitening.dim if self.whitening else self.pooled_dim

    @property
    def device(self) -> torch.device:
        """Where vectors are computed."""
        return next(chain(self.parameters(), self.buffers())).device

    # -- taking vectors apart -----------------------------------------------------------------------------------

    @property
    def separable(self) -> bool:
        """Whether `parts` has an answer."""
        return False

    @property
    def mean(self) -> FloatArray:
        """What the whitening subtracts, (pooled_dim,) float32; zeros without one."""
        if self.whitening is None:
            return np.zeros(self.pooled_dim, np.float32)
        mean: FloatArray = self.whitening.mean.cpu().numpy()
        return mean

    def parts(self, image: ImageLike) -> Parts:
        """Take the pooled vector of a photo apart. Raises ModelError where that cannot be done."""
        raise ModelError(f"{self.name} cannot be taken apart: its vectors are no sums over locations")

    @torch.inference_mode()
    def projected(self, vectors: FloatArray) -> FloatArray:
        """Rows (N, pooled_dim) times the whitening's matrix, without its mean and normalisation: (N, dim)."""
        return self._linear(vectors, self.whitening.linear) if self.whitening else vectors

    @torch.inference_mode()
    def projected_back(self, vectors: FloatArray) -> FloatArray:
        """Rows (N, dim) times the transposed matrix of the whitening: (N, pooled_dim)."""
        return self._linear(vectors, self.whitening.transposed) if self.whitening else vectors

    def _linear(self, vectors: FloatArray, function: Callable[[Tensor], Tensor]) -> FloatArray:
        out: FloatArray = function(torch.from_numpy(vectors).to(self.device)).cpu().numpy()
        return out

    @property
    def identity(self) -> str:
        """Hex digest of the architecture and every weight: equal identities give equal vectors."""
        return digest(self.architecture, arrays_of(self))

    # -- fitting ------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """False while cluster centres are missing."""
        return True

    @property
    def needs_centres(self) -> bool:
        """Whether `fit` learns cluster centres."""
        return False

    def set_centres(self, centres: FloatArray, descriptors: FloatArray) -> None:
        """Initialise the pooling. Raises ModelError where it has no cluster centres."""
        raise ModelError(f"{self.name} has no cluster centres to set")

    def local_descriptors(self, images: Sequence[ImageLike]) -> Iterator[tuple[int, FloatArray]]:
        """Yield local descriptors of each image. Raises ModelError where there are none."""
        raise ModelError(f"{self.name} has no local descriptors")

    def set_whitening(self, whitening: Whitening | WCCN | None) -> None:
        """Whiten vectors from now on; None removes the whitening."""
        self.whitening = None if whitening is None else whitening.to(self.device)

    def crop(self, dim: int) -> Self:
        """Keep the first `dim` whitened numbers; returns this describer. Raises ModelError if nothing is whitened."""
        if self.whitening is None:
            raise ModelError(f"{self.name} is not whitened, so its {self.dim} numbers cannot be cut to {dim}")
        self.set_whitening(self.whitening.cropped(dim))
        return self

    # -- on disk ------------------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write model.safetensors and card.json. Raises ModelError while centres are missing."""
        if not self.ready:
            raise ModelError(f"{self.name} has no cluster centres yet, so there is nothing to save: fit it first")
        facts = {
            "name": self.name,
            "dim": self.dim,
            "architecture": self.architecture,
            "weights": self.provenance,
            "fitted_on": self.fitted_on,
        }
        return write_in_place(folder, arrays_of(self), kind=self.kind, facts=facts)

    def push_to_hub(self, repo: str, *, licence: str | None = None, private: bool = False) -> str:
        """Publish on the Hugging Face hub as `owner/name`, with a README.md made of the card.

        licence: of the model, by the hub's name; by default that of the weights it was made from. private: whether a
        new repository is. Returns "hf:owner/name@commit", which `netvlad.load` takes. Raises ModelError while centres
        are missing, and where the hub refuses or cannot be reached.
        """
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.save(temporary)
            card = read_card(folder, error=ModelError)
            (folder / "README.md").write_text(model_card(card, repo, licence), encoding="utf-8")
            return upload_folder(folder, repo, private=private, message=f"{self.name}, {self.dim}-D", error=ModelError)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote. Raises ModelError where files are missing or broken, or do not fit each other."""
        card = read_card(folder, error=ModelError, kinds=[cls.kind])
        try:
            cls._check(card["architecture"], folder)
            arrays = read_arrays(folder, card, error=ModelError)
            model = cls._build(card, folder)
            if card["architecture"]["whitening"]:
                model.set_whitening(make_whitening(model.pooled_dim, card["architecture"]["whitening"]))
            model._fill(arrays, folder)
            model.fitted_on = card["fitted_on"]
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as e:
            file = Path(folder) / "card.json"
            raise ModelError(f"lacks or garbles an entry ({type(e).__name__}: {first_line(e)})", path=file) from e
        return model

    @classmethod
    def _check(cls, architecture: dict[str, Any], folder: str | os.PathLike[str]) -> None:
        """Raise ModelError for an architecture that this version does not have."""

    @classmethod
    def _build(cls, card: Card, folder: str | os.PathLike[str]) -> Self:
        """The model that a card describes, without its tensors and its whitening."""
        raise NotImplementedError

    def _fill(self, arrays: dict[str, Array], folder: str | os.PathLike[str]) -> None:
        try:
            self.load_state_dict({_in_memory(key): torch.from_numpy(array) for key, array in arrays.items()})
        except RuntimeError as e:
            reason = f"does not fit the architecture in card.json ({str(e)[:300]})"
            raise ModelError(reason, path=Path(folder) / FILE) from e


def arrays_of(model: nn.Module) -> dict[str, Array]:
    """The tensors of a model under their names on disk."""
    state: dict[str, Tensor] = model.state_dict()
    return {_on_disk(key): tensor.detach().cpu().numpy() for key, tensor in state.items()}


def same_size(shapes: Sequence[tuple[int, ...]], device: torch.device) -> Iterator[list[int]]:
    """Rows of images of one shape (height, width, ...), few enough for one forward pass."""
    rows_of: dict[tuple[int, ...], list[int]] = {}
    for row, shape in enumerate(shapes):
        rows_of.setdefault(shape, []).append(row)
    budget = PIXELS_AT_ONCE.get(device.type, PIXELS_AT_ONCE["cuda"])
    for (height, width, *_), rows in rows_of.items():
        step = max(1, budget // (height * width))
        for i in range(0, len(rows), step):
            yield rows[i : i + step]


# Format 1 calls the backbone a trunk, in the names of tensors as in the card.
def _on_disk(key: str) -> str:
    return key.replace("backbone.", "trunk.", 1) if key.startswith("backbone.") else key


def _in_memory(key: str) -> str:
    return key.replace("trunk.", "backbone.", 1) if key.startswith("trunk.") else key
