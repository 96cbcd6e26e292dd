"""Files of pictures that several maps share: what one has fetched, another need not."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from netvlad.imagery.picture import Picture
from netvlad.imagery.web import Gone, Web
from netvlad.runtime.files import atomic, write_text


@dataclass(frozen=True)
class Cache:
    """A folder of pictures' files; asset: which of their files. It may be deleted at any time."""

    folder: Path
    asset: str

    def entry(self, picture: Picture) -> Path:
        """Where the file of a picture lies in it; beside it lies what the server calls that state of it (ETag)."""
        return self.folder / picture.source / picture.id[-2:] / f"{picture.name}-{self.asset}.jpg"

    def fetch(self, web: Web, address: str, picture: Picture, file: Path) -> None:
        """Make `file` hold a picture, from here where the server says that it is the same, or has no name for it.

        Raises as `Web.fetch`; a picture that is gone is gone from here, too.
        """
        entry = self.entry(picture)
        tag = entry.with_suffix(".etag")
        known = tag.read_text("utf-8") if tag.exists() and entry.exists() else ""
        if known or not entry.exists():
            try:
                fresh = web.fetch(address, entry, known=known)
            except Gone:
                self.forget(picture)
                raise
            if fresh is not None:
                write_text(tag, fresh)
        with atomic(file) as temporary:
            _share(entry, temporary)

    def forget(self, picture: Picture) -> None:
        """Remove a picture that its source has taken back."""
        for file in (self.entry(picture), self.entry(picture).with_suffix(".etag")):
            file.unlink(missing_ok=True)


def _share(entry: Path, file: Path) -> None:
    """The same bytes under another name, once on the disk where it allows that."""
    try:
        os.link(entry, file)
    except OSError:  # another disk, or one without links
        shutil.copyfile(entry, file)
