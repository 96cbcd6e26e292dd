"""The encoding of a table of text."""

from __future__ import annotations

import codecs
import re

_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_HIGH = re.compile(rb"[\x80-\xff]+")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_CHUNK = 1 << 20


def marked_encoding(path: str) -> str:
    """UTF-16 where a file begins with its mark, else UTF-8, whose mark is left out."""
    with open(path, "rb") as file:
        return _MARKS.get(file.read(2), "utf-8-sig")


def is_windows(path: str) -> bool:
    """Whether a file that is no UTF-8 is text of Windows-1252.

    That has no sequence of bytes that UTF-8 would have as well: where both occur, UTF-8 has been damaged.
    """
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            if _UNDEFINED.search(chunk) or any(_is_utf8(found[0]) for found in _HIGH.finditer(chunk)):
                return False
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
