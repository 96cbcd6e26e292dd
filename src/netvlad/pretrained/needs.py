"""What the code of a published model reads besides itself: files of weights, and other repositories.

Each need says where it is on this machine, and how to get it there. One folder in $NETVLAD_WEIGHTS can hold them all.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from netvlad.errors import NetvladError, first_line
from netvlad.runtime.download import cache_folder, download
from netvlad.runtime.hugging_face import notice_offline
from netvlad.runtime.weights_folders import find_file

HUGGING_FACE = "https://huggingface.co/"


@dataclass(frozen=True)
class WebFile:
    """A file that code of a repository reads through torch.hub, by its address."""

    url: str
    sha256: str | None = None

    @property
    def name(self) -> str:
        """Its name in $NETVLAD_WEIGHTS and in the cache of torch.hub."""
        return self.url.rpartition("/")[2]

    @property
    def advice(self) -> str:
        return f"{self.name} from {self.url}"

    @property
    def cached(self) -> Path:
        """Where torch.hub looks before it downloads."""
        return hub_folder() / "checkpoints" / self.name

    def found(self) -> Path | None:
        given = find_file([self.name])
        return given or (self.cached if self.cached.is_file() else None)

    def fetch(self) -> None:
        """Put the file where torch.hub looks, from $NETVLAD_WEIGHTS or its address. Raises NetvladError."""
        given = find_file([self.name])
        if given and (self.cached.is_symlink() or not self.cached.exists()):  # a download stays
            _link(given, self.cached)
        elif not self.cached.is_file():
            download(self.url, self.cached, sha256_hex=self.sha256)


@dataclass(frozen=True)
class HuggingFaceFile:
    """A file of a repository of the Hugging Face hub. In $NETVLAD_WEIGHTS it is called after the repository."""

    repo: str
    file: str

    @property
    def url(self) -> str:
        return f"{HUGGING_FACE}{self.repo}/resolve/main/{self.file}"

    @property
    def name(self) -> str:
        return self.repo.rpartition("/")[2].lower() + Path(self.file).suffix

    @property
    def advice(self) -> str:
        return f"{self.name} from {self.url}"

    def given(self) -> Path | None:
        """The file in $NETVLAD_WEIGHTS."""
        return find_file([self.name])

    def found(self) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(self.repo, self.file)
        return self.given() or (Path(cached) if isinstance(cached, str) else None)

    def fetch(self) -> None:
        """Download the file into the hub's cache, unless it is here. Raises NetvladError."""
        if self.found():
            return
        from huggingface_hub import hf_hub_download

        notice_offline()
        try:
            hf_hub_download(self.repo, self.file)
        except Exception as e:  # OSError, ValueError and the errors of the client that it has in this version
            raise NetvladError(first_line(e), path=self.url) from e


@dataclass(frozen=True)
class Checkout:
    """A repository on GitHub whose code is run. aliases: what else its folder in $NETVLAD_WEIGHTS may be called."""

    repo: str
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        own = self.repo.rpartition("/")[2]
        return (*self.aliases, own.lower(), own)

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def url(self) -> str:
        return f"https://github.com/{self.repo}"

    @property
    def advice(self) -> str:
        return f"a checkout of {self.url} as the folder {self.name}"

    def given(self) -> Path | None:
        """The folder in $NETVLAD_WEIGHTS."""
        file = find_file([f"{name}/hubconf.py" for name in self.names])
        return file.parent if file else None

    def cached(self, ref: str = "") -> Path | None:
        """The folder in the cache of torch.hub, which spells names as the code that asks for them does."""
        start = f"{self.repo}/{ref}".replace("/", "_").lower()
        folder = hub_folder()
        found = folder.iterdir() if folder.is_dir() else iter(())
        return next((f for f in found if f.name.lower().startswith(start) and f.is_dir()), None)

    def found(self) -> Path | None:
        return self.given() or self.cached()

    def fetch(self) -> None:
        """Does nothing: torch.hub fetches code when it runs it."""


Need: TypeAlias = WebFile | HuggingFaceFile | Checkout


def missing(needs: tuple[Need, ...]) -> list[Need]:
    """Those that are neither in $NETVLAD_WEIGHTS nor in a cache."""
    return [need for need in needs if need.found() is None]


def imported_folder(name: str) -> Path:
    """Where a downloaded network of NetVLAD's authors is kept."""
    return cache_folder() / "models" / name


def hub_folder() -> Path:
    """The folder of torch.hub; torch is not imported for it."""
    if "torch" in sys.modules:
        return Path(sys.modules["torch"].hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch").expanduser() / "hub"


def _link(given: Path, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)  # a dangling link, or one to another folder's file
    try:
        file.symlink_to(given.absolute())
    except OSError:  # Windows allows links to some only
        shutil.copyfile(given, file)
