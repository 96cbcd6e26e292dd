"""Settings as YAML files: the package's presets by name, others by path."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from netvlad.errors import NetvladError
from netvlad.runtime.files import refuse_irregular, write_text
from netvlad.training.config import RENAMED, Config
from netvlad.training.devices import EXTRA
from netvlad.training.schema import build

FOLDER = Path(__file__).parent / "presets"
SETTINGS = "config.yaml"  # of a run
MOST = 100_000  # bytes; the presets have some 300
DEEPEST = 10
RUN = "run"  # its section on the tables and the model of the run; presets have none


def names() -> list[str]:
    """The package's presets."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def make_config(preset: str | os.PathLike[str] | None = None, **values: Any) -> Config:
    """The settings of a preset, by name or path (also a run's config.yaml), with `values` in place of its own.

    Raises NetvladError for an unknown preset, key or value; the message lists the known ones.
    """
    read = {} if preset is None else read_settings(_find(preset))[0]
    if read:
        build(Config, read, str(preset))  # an error of the file names the file
    return build(Config, {**read, **rename_keys(values, "settings")}, "settings")


def read_settings(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of a YAML file, and its section `run`. Raises NetvladError for any other file."""
    refuse_irregular(path, most=MOST)
    yaml = _yaml()
    try:
        text = path.read_text(encoding="utf-8")
        _check_events(yaml, text)
        _check_keys(yaml, yaml.compose(text, yaml.SafeLoader))
        content = yaml.safe_load(text) or {}
    except (OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, yaml.YAMLError) as e:
        # besides its own errors PyYAML lets those of `int`, `float` and `datetime` through
        raise NetvladError(f"cannot be read as YAML ({e})", path=path) from e
    if not isinstance(content, dict) or not isinstance(content.get(RUN, {}), dict):
        raise NetvladError("lines of `key: value` are wanted", path=path)
    values = {k: v for k, v in content.items() if k != RUN}
    return rename_keys(values, str(path)), content.get(RUN, {})


def _check_events(yaml: ModuleType, text: str) -> None:
    """Raise ValueError for aliases, a few of which expand to billions of values, and for deep nesting."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {event.start_mark.line + 1}: *{event.anchor} is an alias; write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"line {event.start_mark.line + 1}: values are nested more than {DEEPEST} times")


def _check_keys(yaml: ModuleType, node: Any) -> None:
    """Raise ValueError for keys that are no words, or given twice: PyYAML takes the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise ValueError(f"line {line}: a key is no word")
            if key.value in seen:
                raise ValueError(f"line {line}: the key {key.value} is given twice")
            seen.add(key.value)
            _check_keys(yaml, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_keys(yaml, value)


def read_run(folder: Path) -> tuple[Config, dict[str, Any]]:
    """The settings of the run in `folder`, and what it was begun on: `places`, `validate`, `model`.

    Raises NetvladError where no run is there, or one that does not name its tables.
    """
    refuse_missing(folder)
    file = folder / SETTINGS
    values, about = read_settings(file)
    if "places" not in about:
        raise NetvladError(f"{file} does not say on which places: the run was begun from Python, so resume it there")
    for name in ("places", "validate"):
        paths = about.get(name, [])
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise NetvladError(f"{name} of its section {RUN} is no list of paths", path=file)
    for name in ("columns", "date_order"):
        if not isinstance(about.get(name, ""), str):
            raise NetvladError(f"{name} of its section {RUN} is no text", path=file)
    return build(Config, values, str(file)), about


def refuse_missing(folder: Path) -> None:
    """Raises NetvladError for a folder without a run."""
    if not (folder / SETTINGS).is_file():
        raise NetvladError(f"no run is there to resume (it would hold {SETTINGS})", path=folder)


def rename_keys(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """`values` under today's keys, with one FutureWarning for keys of version 0.1.0.

    Raises NetvladError where a key is given under both names.
    """
    old = [name for name in values if name in RENAMED]
    both = [name for name in old if RENAMED[name] in values]
    if both:
        raise NetvladError(f"{source}: {both[0]} is the old name of {RENAMED[both[0]]}: give one of them")
    if old:
        told = ", ".join(f"{name} is called {RENAMED[name]}" for name in old)
        warnings.warn(f"{source}: keys have been renamed: {told} now", FutureWarning, stacklevel=3)
    return {RENAMED.get(name, name): value for name, value in values.items()}


def write_settings(folder: Path, about: dict[str, Any], values: dict[str, Any]) -> None:
    """A run's config.yaml."""
    content = {**({RUN: about} if about else {}), **values}
    write_text(folder / SETTINGS, _yaml().safe_dump(content, sort_keys=False, allow_unicode=True))


def _find(preset: str | os.PathLike[str]) -> Path:
    path = Path(preset)
    if path.suffix in (".yaml", ".yml"):
        return path
    if str(preset) not in names():
        raise NetvladError(f"no preset is called {str(preset)!r}; choose one of {', '.join(names())}, or a YAML file")
    return FOLDER / f"{preset}.yaml"


def _yaml() -> ModuleType:
    try:
        import yaml
    except ImportError as e:
        raise NetvladError(f"settings in YAML need PyYAML: {EXTRA}") from e
    return yaml
