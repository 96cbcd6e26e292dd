"""A journal of the files that a run writes, to take them back."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from netvlad.errors import NetvladError
from netvlad.runtime.files import atomic, flush, sha256

FILE = "journal.jsonl"
_FORMAT = 1
_UNDONE = ".undone"


def journals_folder() -> Path:
    """The folder of all journals: $NETVLAD_STATE, or else in the platform's folder for what programs remember."""
    if os.environ.get("NETVLAD_STATE"):
        return Path(os.environ["NETVLAD_STATE"]).expanduser() / "written"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "netvlad" / "written"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "netvlad" / "written"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "netvlad" / "written"


class Journal:
    """The files that one run writes: a folder of `FILE` and of what sidecars were before; made with the first file.

    Each file is noted before it is written, so that a run that was killed can be taken back, too.
    """

    def __init__(self, folder: Path | None = None) -> None:
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        self.folder = folder or journals_folder() / f"{now}-{os.getpid()}"
        self._count = 0

    @contextmanager
    def writing(
        self, file: str | os.PathLike[str], *, read: bytes | None = None, beside: bool = False
    ) -> Iterator[Path]:
        """Yield a temporary path, and put what is written there in the place of `file`, as `atomic` does.

        read: the bytes that the new ones were made of, None for a new file; anything else there is not
        replaced. They are kept in the journal or, with `beside`, as FILE_original beside the file, with its times.
        Raises NetvladError where the file has changed since it was read, and OSError.
        """
        target = Path(os.path.realpath(file))
        with atomic(target) as temporary:
            yield temporary
            original = None
            if read is not None:
                original = _free_name(target) if beside else self.folder / f"{self._count}.original"
                shutil.copymode(target, temporary)
                with atomic(original) as copy:
                    shutil.copy2(target, copy)
                    if copy.read_bytes() != read:
                        raise NetvladError("was changed by another program while it was read", path=file)
                    flush(copy)
            elif target.exists():
                raise NetvladError("exists already", path=file)
            flush(temporary)
            before = None if original is None else sha256(original)
            after = sha256(temporary)
            self._note({"file": str(target), "before": before, "after": after, "original": original and str(original)})

    def _note(self, entry: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / FILE, "a", encoding="ascii") as journal:
            if not self._count:
                journal.write(json.dumps({"format": _FORMAT}) + "\n")
            journal.write(json.dumps(entry) + "\n")  # names that are no text as escapes
            journal.flush()
            os.fsync(journal.fileno())
        self._count += 1


@dataclass
class Undone:
    """restored: files that are as they were before the run. left: file -> why it was left as it is."""

    restored: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def last_journal() -> Path:
    """The folder of the last run that wrote files and was not taken back. Raises NetvladError where there is none."""
    folder = journals_folder()
    found = sorted(file.parent for file in folder.glob(f"*/{FILE}") if not file.parent.name.endswith(_UNDONE))
    if not found:
        raise NetvladError("holds no journal of a run that could be taken back", path=folder)
    return found[-1]


def undo(folder: Path, *, dry_run: bool = False) -> Undone:
    """Take back what a run wrote, the last file first; files that were changed since are left alone.

    The journal is then no longer the last. dry_run: only find out. Raises NetvladError for a journal that cannot be
    read.
    """
    undone = Undone()
    for entry in reversed(_entries(folder / FILE)):
        file = entry["file"]
        try:
            reason = _take_back(Path(file), entry, dry_run)
        except OSError as e:
            reason = f"cannot be taken back ({e.strerror})"
        if reason:
            undone.left[file] = reason
        else:
            undone.restored.append(file)
    if not dry_run:
        folder.rename(folder.with_name(folder.name + _UNDONE))
    return undone


def _take_back(file: Path, entry: dict[str, Any], dry_run: bool) -> str:
    """Make a file what it was before; returns why not, "" where it is done."""
    now = sha256(file) if file.exists() else None
    original = None if entry["original"] is None else Path(entry["original"])
    beside = original is not None and original.parent == file.parent
    if now == entry["before"]:  # the run ended before it was written
        if beside and original is not None and original.exists() and sha256(original) == now and not dry_run:
            original.unlink()
        return ""
    if now != entry["after"]:
        return "is gone" if now is None else "was changed since"
    if original is None:
        if not dry_run:
            file.unlink()
        return ""
    if not original.exists() or sha256(original) != entry["before"]:
        return f"its original, {original}, is gone or was changed"
    if not dry_run and beside:
        os.replace(original, file)
    elif not dry_run:
        with atomic(file) as temporary:
            shutil.copy2(original, temporary)
    return ""


def _entries(journal: Path) -> list[dict[str, Any]]:
    """The files of a journal; a last line that is cut off was never acted upon."""
    try:
        lines = journal.read_text("ascii").split("\n")
        head, *entries = [json.loads(line) for line in lines[:-1]]
        if head["format"] != _FORMAT:
            raise NetvladError(f"is a journal of format {head['format']}, not {_FORMAT}", path=journal)
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise NetvladError(f"is no journal that can be read ({type(e).__name__})", path=journal) from e
    return entries


def _free_name(file: Path) -> Path:
    """photo.jpg_original, as exiftool names it, or with a number where another program left one."""
    name = file.with_name(f"{file.name}_original")
    number = 1
    while name.exists():
        number += 1
        name = file.with_name(f"{file.name}_original{number}")
    return name
