"""The keys of settings: what each means, and which values it takes, in one place for Python, YAML and the shell."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any

from netvlad.errors import NetvladError

TRUE, FALSE, NONE = ("true", "yes", "on"), ("false", "no", "off"), ("none", "null", "")


def key(default: Any, meaning: str, *, among: tuple = (), least: float | None = None, above: float | None = None):
    """A field of a dataclass of settings. among: the allowed values; least, above: the limits of a number."""
    return field(default=default, metadata={"meaning": meaning, "among": among, "least": least, "above": above})


def keys(settings) -> Iterator[Field]:
    """The keys of a dataclass of settings (or of one's class), those of the dataclasses within it in their place."""
    for each in fields(settings):
        if each.default_factory is not MISSING and is_dataclass(each.default_factory):
            yield from keys(each.default_factory)
        else:
            yield each


def check(settings) -> None:
    """Raises NetvladError for a value that is not allowed, saying which are."""
    for each in fields(settings):
        if "meaning" not in each.metadata:
            continue
        value, (_, among, least, above) = getattr(settings, each.name), each.metadata.values()
        if among and value not in among:
            raise NetvladError(f"{each.name} {value!r} does not exist; choose one of {', '.join(among)}")
        if value is None and each.type.endswith("| None"):
            continue
        if least is not None and not value >= least:
            raise NetvladError(f"{each.name} {value}: a number from {least:g} up is wanted")
        if above is not None and not value > above:
            raise NetvladError(f"{each.name} {value}: a number above {above:g} is wanted")


def flat(settings) -> dict[str, Any]:
    """key -> value, in order."""
    out = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        out |= flat(value) if is_dataclass(value) else {each.name: value}
    return out


def build(kind: type, values: dict[str, Any], source: str):
    """A dataclass of settings from key -> value, the rest by default; values may be text, as a shell gives them.

    Raises NetvladError, naming the source, for unknown keys (listing all) and values of the wrong kind.
    """
    known = {each.name: each for each in keys(kind)}
    unknown = [name for name in values if name not in known]
    if unknown:
        close = difflib.get_close_matches(str(unknown[0]), list(known), 3)
        hint = f" (close: {', '.join(close)})" if close else ""
        raise NetvladError(f"{source}: no key is called {unknown[0]!r}{hint}; the keys are {', '.join(known)}")
    typed = {name: _typed(known[name], value, source) for name, value in values.items()}
    return _made(kind, typed)


def _made(kind: type, values: dict[str, Any]):
    inner = {
        each.name: _made(each.default_factory, values)
        for each in fields(kind)
        if each.default_factory is not MISSING and is_dataclass(each.default_factory)
    }
    own = {each.name: values[each.name] for each in fields(kind) if each.name in values}
    return kind(**own, **inner)


def _typed(known: Field, value: Any, source: str) -> Any:
    wanted, _, rest = known.type.partition(" | ")
    text = str(value).strip()
    if rest == "None" and (value is None or text.lower() in NONE):
        return None
    try:
        if wanted == "bool" and text.lower() in TRUE + FALSE:
            return text.lower() in TRUE
        if wanted == "int" and float(text) == int(float(text)) and not isinstance(value, bool):
            return int(float(text))
        if wanted == "float" and not isinstance(value, bool):  # YAML takes 1e-4 for text
            return float(text)
        if wanted == "str" and isinstance(value, str):
            return value
    except (ValueError, OverflowError):
        pass
    kinds = {"bool": "yes or no", "int": "a whole number", "float": "a number", "str": "text"}
    among = ", ".join(map(str, known.metadata["among"])) or kinds[wanted] + (" or none" if rest else "")
    raise NetvladError(f"{source}: {known.name} {value!r} is not allowed; wanted: {among}")
