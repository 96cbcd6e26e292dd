"""The errors a person can act on: each says what was wrong, where, and what would be right."""

from __future__ import annotations

import os
from typing import Any

LONGEST = 2000  # characters of a reason: files can put megabytes into one


def shortened(text: str, longest: int = LONGEST) -> str:
    """`text` with at most `longest` characters, 100 or more: of a longer one the beginning and the end."""
    if len(text) <= longest:
        return text
    mark = f" [... {len(text) - longest} characters more ...] "
    kept = longest - len(mark)
    return text[: kept - kept // 2] + mark + text[len(text) - kept // 2 :]


class NetvladError(Exception):
    """Any error that the input or the surroundings cause; the command line prints it without a traceback.

    reason: what was wrong, cut in the middle to `LONGEST` characters. path: the file or folder that it is about, None
    where there is none. The message is "path: reason", or the reason alone.
    """

    def __init__(self, reason: str, *, path: str | os.PathLike[str] | None = None) -> None:
        self.reason = shortened(reason)
        self.path = None if path is None else os.fspath(path)
        super().__init__(self.reason if self.path is None else f"{self.path}: {self.reason}")

    def __reduce__(self) -> tuple[Any, ...]:  # workers send errors back by pickling them
        return _remade, (type(self), self.reason, self.path)


def first_line(error: BaseException) -> str:
    """First line of an error's message, at most 400 characters; its type where there is none."""
    return shortened((str(error).strip().splitlines() or [type(error).__name__])[0], 400)


def _remade(kind: type[NetvladError], reason: str, path: str | None) -> NetvladError:
    return kind(reason, path=path)


class PlacesError(NetvladError):
    """A source of places cannot be read, or holds invalid rows."""


class ImageError(NetvladError):
    """A photo cannot be decoded."""


class ModelError(NetvladError):
    """A model or its weights are missing, do not fit, or are not ready."""


class PlaceIndexError(NetvladError):
    """An index is missing, does not fit the model, or cannot do what is asked."""


class DiskFullError(PlaceIndexError):
    """There is no room for what is to be written to an index; what was finished is kept."""


class PlaceIndexWarning(UserWarning):
    """A part of an index was damaged, missing or behind, and what was done about it."""
