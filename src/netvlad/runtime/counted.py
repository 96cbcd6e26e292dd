"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number and the noun: "1 photo", "2 photos". plural: of a noun that does not take an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"
