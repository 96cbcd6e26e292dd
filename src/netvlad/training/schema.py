"""Keys of settings: the meaning and the allowed values of each, in one place for Python, YAML and the shell."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import Field, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from netvlad.errors import NetvladError
from netvlad.registry import Registry

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
TRUE, FALSE, NONE = ("true", "yes", "on"), ("false", "no", "off"), ("none", "null", "")


def key(
    default: Any,
    meaning: str,
    *,
    among: tuple[str, ...] = (),
    registry: Registry[Any] | None = None,
    least: float | None = None,
    above: float | None = None,
) -> Any:
    """A field of a dataclass of settings.

    among: the allowed values; registry: names in it are allowed as well; least, above: limits of a number.
    """
    limits = {"among": among, "registry": registry, "least": least, "above": above}
    return field(default=default, metadata={"meaning": meaning, **limits})


def keys(settings: DataclassInstance | type[DataclassInstance]) -> Iterator[Field[Any]]:
    """The keys of a dataclass of settings, or of its class; those of nested dataclasses stand in their place."""
    for each in fields(settings):
        nested = _nested(each)
        if nested:
            yield from keys(nested)
        else:
            yield each


def check(settings: DataclassInstance) -> None:
    """Raises NetvladError for a value that is not allowed; the message lists those that are."""
    for each in fields(settings):
        if "meaning" not in each.metadata:
            continue
        value = getattr(settings, each.name)
        _, among, registry, least, above = each.metadata.values()
        if among and value not in among and (registry is None or value not in registry):
            known = among if registry is None else dict.fromkeys([*among, *registry])
            raise NetvladError(f"{each.name} {value!r} does not exist; choose one of {', '.join(known)}")
        if value is None and str(each.type).endswith("| None"):
            continue
        if least is not None and not value >= least:
            raise NetvladError(f"{each.name} {value}: a number from {least:g} up is wanted")
        if above is not None and not value > above:
            raise NetvladError(f"{each.name} {value}: a number above {above:g} is wanted")


def flat(settings: DataclassInstance) -> dict[str, Any]:
    """key -> value, in order."""
    out: dict[str, Any] = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        out |= flat(value) if _nested(each) else {each.name: value}
    return out


def build(kind: type[T], values: Mapping[str, Any], source: str) -> T:
    """A dataclass of settings from key -> value, the rest by default; values may be text, as from a shell.

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


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    nested = {each.name: _nested(each) for each in fields(kind)}
    inner = {name: _made(part, values) for name, part in nested.items() if part}
    own = {name: values[name] for name in nested if name in values}
    return kind(**own, **inner)


def _nested(each: Field[Any]) -> type[DataclassInstance] | None:
    """The class of a field that is itself a dataclass of settings."""
    made = each.default_factory
    return made if isinstance(made, type) and is_dataclass(made) else None


def _typed(known: Field[Any], value: Any, source: str) -> Any:
    wanted, _, rest = str(known.type).partition(" | ")
    if isinstance(value, int) and value.bit_length() > 1000:  # Python refuses to write out thousands of digits
        value = "(a number of hundreds of digits)"
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
