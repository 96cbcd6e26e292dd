"""Damage to bytes and to JSON, by chance."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

Rng = np.random.Generator
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 0.5, -0.0, 1e300, -1e300, float("nan"), float("inf"), 2**31, 2**63, 10**400, "",
    "abc", "NaN", "0", "\x1b[31m", "é" * 50, "x" * 5000, "../../etc/passwd", "2020-13-45", [], {}, [[]], [1, 2, 3],
    {"a": 1}, [None] * 4, [float("nan")] * 3,
)  # fmt: skip


def pick(rng: Rng, items: Sequence[Any]) -> Any:
    """One of them; `rng.choice` makes an array of them first, of strings and numbers alike."""
    return items[int(rng.integers(len(items)))]


def flip(data: bytes, rng: Rng) -> bytes:
    """One to eight bits."""
    out = bytearray(data)
    for at in rng.integers(0, len(out), rng.integers(1, 9)):
        out[at] ^= 1 << int(rng.integers(8))
    return bytes(out)


def flip_one(data: bytes, rng: Rng) -> bytes:
    """A single bit."""
    at = int(rng.integers(len(data)))
    return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]


def overwrite(data: bytes, rng: Rng) -> bytes:
    """A stretch of zeros, of 255s or of noise."""
    start, n = int(rng.integers(len(data))), int(rng.integers(1, 65))
    filler = (bytes(n), b"\xff" * n, rng.bytes(n))[int(rng.integers(3))]
    return (data[:start] + filler + data[start + n :])[: len(data)]


def number(data: bytes, rng: Rng) -> bytes:
    """A size or an offset that lies: an extreme number of 1 to 8 bytes, mostly in the header or at the end."""
    width, order = int(pick(rng, (1, 2, 4, 8))), pick(rng, ("little", "big"))
    value = pick(rng, NUMBERS) % (1 << (8 * width))
    where = pick(rng, ("head", "head", "tail", "anywhere"))
    low = max(0, len(data) - 300) if where == "tail" else 0
    high = min(len(data), 64) if where == "head" else len(data)
    at = int(rng.integers(low, max(low + 1, high)))
    return data[:at] + value.to_bytes(width, order) + data[at + width :]


def truncate(data: bytes, rng: Rng) -> bytes:
    """Cut off, near the end or anywhere."""
    near = rng.random() < 0.3
    return data[: max(0, len(data) - int(rng.integers(1, 40)))] if near else data[: int(rng.integers(len(data)))]


def delete(data: bytes, rng: Rng) -> bytes:
    """Without a stretch."""
    start = int(rng.integers(len(data)))
    return data[:start] + data[start + int(rng.integers(1, 200)) :]


def repeat(data: bytes, rng: Rng) -> bytes:
    """With a stretch up to 50 times."""
    start = int(rng.integers(len(data)))
    end = start + int(rng.integers(1, 300))
    return data[:end] + data[start:end] * int(rng.integers(1, 50)) + data[end:]


def append(data: bytes, rng: Rng) -> bytes:
    """With bytes behind its end."""
    return data + rng.bytes(int(rng.integers(1, 2000)))


BYTES: tuple[Callable[[bytes, Rng], bytes], ...] = (
    flip, flip_one, overwrite, number, number, truncate, delete, repeat, append,
)  # fmt: skip


def splice(data: bytes, other: bytes, rng: Rng) -> bytes:
    """The start of one and the end of another."""
    return data[: int(rng.integers(len(data)))] + other[int(rng.integers(len(other))) :]


def damage(data: bytes, rng: Rng, others: Sequence[bytes] = (), most: int = 3) -> tuple[bytes, str]:
    """`data` after one to `most` kinds of damage, and their names."""
    names = []
    for _ in range(int(rng.integers(1, most + 1))):
        if not data:
            break
        if others and rng.random() < 0.12:
            data, name = splice(data, pick(rng, others), rng), "splice"
        else:
            kind = pick(rng, BYTES)
            data, name = kind(data, rng), kind.__name__
        names.append(name)
    return data, "+".join(names)


def damage_json(value: Any, rng: Rng, ugly: Sequence[Any] = VALUES) -> Any:
    """A copy with one to three of its values replaced, taken out, or renamed; rarely nested 5,000 deep."""
    value = json.loads(json.dumps(value))
    for _ in range(int(rng.integers(1, 4))):
        inner = _inner(value)
        if not inner or rng.random() < 0.03:
            return deepcopy(pick(rng, ugly))
        holder, key = pick(rng, inner)
        action = rng.random()
        if action < 0.75:
            holder[key] = deepcopy(pick(rng, ugly))
        elif action < 0.9 or not isinstance(holder, dict):
            del holder[key]
        else:
            holder[f"{key}x"] = holder.pop(key)
    return value


def to_json(value: Any, rng: Rng) -> str:
    """JSON text; rarely inside of 5,000 brackets, or with a key twice."""
    text = json.dumps(value)
    if rng.random() < 0.03:
        return "[" * 5000 + text + "]" * 5000
    if rng.random() < 0.03 and text.startswith("{") and len(text) > 2:
        return text[:-1] + ", " + text[1:]
    return text


def _inner(value: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of every value below."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [pair for key in keys for pair in ((value, key), *_inner(value[key]))]
