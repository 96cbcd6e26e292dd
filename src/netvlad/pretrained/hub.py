"""Describers that others publish through torch.hub: their code and weights behind this package's interface.

The code comes from the repository that `catalogue.HUBS` names and runs with all rights of this process. It is fetched
and run only when one of those names is asked for, or an index or model that was built with it is opened. A checkout of
the repository in $NETVLAD_WEIGHTS, called as the model, is preferred to GitHub, so that reviewed code stays in use.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe.base import LONGEST_SIDE, BaseDescriber, arrays_of, same_size
from netvlad.describe.weights import find_file
from netvlad.errors import ModelError, NetvladError, first_line
from netvlad.images.read import read_image
from netvlad.pretrained.catalogue import HUBS, IMAGENET, Hub
from netvlad.pretrained.mixvpr import load_mixvpr
from netvlad.registry import register_artifact
from netvlad.runtime.artifacts import digest
from netvlad.runtime.download import download
from netvlad.types import Array, FloatArray, ImageLike

if TYPE_CHECKING:
    from typing_extensions import Self

    from netvlad.runtime.artifacts import Card


@register_artifact("hub")
class HubDescriber(BaseDescriber):
    """A describer by a network of torch.hub.

    name: of `HUBS`, perhaps with ":REF". A saved one is a reference: the network's own weights stay where torch.hub has
    them, and are refused when they are not those that it was saved with. A whitening may be fitted on top.
    """

    kind = "hub"
    takes_masks = False

    def __init__(self, name: str, network: nn.Module, *, resize: int | None = LONGEST_SIDE) -> None:
        super().__init__(name, resize)
        self.spec: Hub = HUBS[name.partition(":")[0]]
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # in a list, so that it is no submodule and `save` leaves it out
        self.network = [network.eval().to(self._device)]
        self._digest = ""

    @property
    def pooled_dim(self) -> int:
        return self.spec.dim

    @property
    def device(self) -> torch.device:
        return self._device

    @torch.inference_mode()
    def describe(self, images: Sequence[ImageLike]) -> FloatArray:
        """Describe images of any sizes: (N, dim) float32. Raises ImageError, ModelError."""
        out = np.empty((len(images), self.dim), dtype=np.float32)
        prepared = [self.prepare(read_image(image, resize=self.resize)) for image in images]
        for rows in same_size([tuple(x.shape[1:]) for x in prepared], self.device):
            out[rows] = self(torch.stack([prepared[row] for row in rows])).cpu().numpy()
        return out

    def prepare(self, image: Array) -> Tensor:
        """(H, W, 3) uint8 RGB -> (3, H', W') float32 as the network expects it."""
        x = torch.tensor(image, device=self.device).permute(2, 0, 1)[None].float() / 255
        multiple = self.spec.multiple
        size = self.spec.input_size or tuple(max(1, round(s / multiple)) * multiple for s in x.shape[-2:])
        if tuple(x.shape[-2:]) != tuple(size):
            x = F.interpolate(x, size, mode=self.spec.interpolation, antialias=True, align_corners=False)
        mean, std = (torch.tensor(values, device=x.device).view(3, 1, 1) for values in IMAGENET)
        return ((x - mean) / std)[0]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) as `prepare` makes it -> (N, dim)."""
        found = self.network[0](x)
        found = found[0] if isinstance(found, tuple | list) else found  # BoQ also returns its attention
        if found.shape != (len(x), self.spec.dim):
            got = tuple(found.shape)
            raise ModelError(f"{self.name}: its network made {got} of {len(x)} photos, not {(len(x), self.spec.dim)}")
        found = F.normalize(found.float(), dim=1)
        return self.whitening(found) if self.whitening else found

    # -- on disk ------------------------------------------------------------------------------------------------

    @property
    def provenance(self) -> dict[str, Any] | None:
        return {"source": self.spec.page, "url": self.spec.weights, "licence": self.spec.licence}

    @property
    def architecture(self) -> dict[str, Any]:
        self._digest = self._digest or digest({}, arrays_of(self.network[0]))
        return {
            "hub": self.name,
            "network": self._digest,
            "size": list(self.spec.input_size or ()),
            "resize": self.resize,
            "whitening": self.whitening.card if self.whitening else None,
        }

    @staticmethod
    def repository(card: Card) -> str:
        """The repository whose code a saved model runs."""
        architecture = card.get("architecture")
        name = str(architecture.get("hub")) if isinstance(architecture, dict) else "?"
        spec = HUBS.get(name.partition(":")[0])
        return spec.page if spec else repr(name)

    @classmethod
    def _check(cls, architecture: dict[str, Any], folder: str | os.PathLike[str]) -> None:
        if architecture["hub"].partition(":")[0] not in HUBS:
            known = f"this version knows {', '.join(HUBS)}"
            raise ModelError(f"was made by {architecture['hub']!r}; {known}", path=folder)

    @classmethod
    def _build(cls, card: Card, folder: str | os.PathLike[str]) -> Self:
        arch = card["architecture"]
        model = cls(arch["hub"], load_hub_network(arch["hub"]), resize=arch["resize"])
        if model.architecture["network"] != arch["network"]:
            raise ModelError(
                f"was made with other weights of {arch['hub']} than torch.hub has now; get those back, or describe the "
                "photos anew",
                path=folder,
            )
        return model


def load_hub(name: str, *, resize: int | None = LONGEST_SIDE) -> HubDescriber:
    """The model called `name` in `HUBS`; "NAME:REF" takes a branch or tag of its repository.

    Raises ModelError as `load_hub_network`.
    """
    return HubDescriber(name, load_hub_network(name), resize=resize)


def load_hub_network(name: str) -> nn.Module:
    """The network of a model in `HUBS`.

    Its repository is looked for in $NETVLAD_WEIGHTS (a folder NAME with a hubconf.py), then in torch.hub's cache, then
    on GitHub; its weights likewise, by the last part of their address. Raises ModelError that says what to fetch and
    where to put it.
    """
    base, _, ref = name.partition(":")
    spec = HUBS[base]
    if spec.files and ref:
        raise ModelError(f"{name}: {base} runs no code of a repository, so it has no version {ref!r}; ask for {base}")
    if spec.files:
        return _without_repository(name, spec)
    checkout = find_file([base]) if not ref else None
    local = checkout is not None and (checkout / "hubconf.py").is_file()
    source = str(checkout) if local else spec.repo + (f":{ref}" if ref else "")
    try:
        _place(spec)
        if not local and not _in_cache(spec, ref):
            print(f"{name}: fetching and running the code of {spec.page}", file=sys.stderr, flush=True)
        options = {"source": "local"} if local else {"source": "github", "trust_repo": True, "verbose": False}
        with contextlib.redirect_stdout(sys.stderr), _modules_of_its_own(checkout if local else None):
            load: Any = torch.hub.load  # has no types
            network: nn.Module = load(source, spec.entry, **options, **spec.arguments)
    except ImportError as e:
        raise ModelError(f"{name}: its code needs the Python package {e.name or e}, which is not installed") from e
    except Exception as e:  # their code, the network and the disk each fail in their own way
        raise ModelError(
            f"{name}: cannot be loaded from torch.hub ({first_line(e)}). Without a connection: put a checkout of "
            f"{spec.page} as a folder {base}, and {spec.weights}, into a folder and set NETVLAD_WEIGHTS to that; or "
            f"bring torch.hub's cache from a machine that has the model, and set TORCH_HOME to it"
        ) from e
    return network


def _without_repository(name: str, spec: Hub) -> nn.Module:
    file = find_file(spec.files)
    if file is None:
        raise ModelError(
            f"{name}: its weights have no address to fetch them from; put {spec.files[0]} from {spec.weights} into a "
            "folder and set NETVLAD_WEIGHTS to that"
        )
    return load_mixvpr(file, **spec.arguments)


def checkpoint(spec: Hub) -> Path:
    """Where the repository's code looks for its weights before it downloads them."""
    return Path(torch.hub.get_dir()) / "checkpoints" / spec.weights.rpartition("/")[2]


def _place(spec: Hub) -> None:
    """Put the weights where the repository's code looks for them, from $NETVLAD_WEIGHTS or the internet."""
    file = checkpoint(spec)
    if file.is_file():
        return
    given = find_file([file.name])
    if given is None:
        try:
            download(spec.weights, file, sha256_hex=spec.sha256)
        except NetvladError as e:
            raise ModelError(e.reason, path=e.path) from e
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)  # a dangling link
    try:
        file.symlink_to(given.absolute())
    except OSError:  # Windows allows links to some only
        shutil.copyfile(given, file)


def _in_cache(spec: Hub, ref: str) -> bool:
    start = spec.repo.replace("/", "_") + "_" + ref.replace("/", "_")
    folder = Path(torch.hub.get_dir())
    return folder.is_dir() and any(f.name.startswith(start) for f in folder.iterdir())


@contextlib.contextmanager
def _modules_of_its_own(checkout: Path | None) -> Iterator[None]:
    """Keep modules of repositories apart: they share names such as `utils`, with each other and with the caller."""
    before, path = dict(sys.modules), list(sys.path)
    for known in [m for m in sys.modules if m.partition(".")[0] in ("utils", "models", "src", "hubconf")]:
        del sys.modules[known]
    try:
        yield
    finally:
        sys.path[:] = path
        homes = [f.resolve() for f in (Path(torch.hub.get_dir()), checkout) if f is not None]
        for known, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)  # built-in modules have none
            if known not in before and file and any(Path(file).resolve().is_relative_to(home) for home in homes):
                del sys.modules[known]
        sys.modules.update({name: module for name, module in before.items() if sys.modules.get(name) is not module})
