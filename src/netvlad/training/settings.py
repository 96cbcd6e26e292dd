"""Settings as short YAML files: those that come with the package by name, anyone's by path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from netvlad.errors import NetvladError
from netvlad.runtime.files import write_text
from netvlad.training.config import Config
from netvlad.training.devices import EXTRA
from netvlad.training.keys import build

FOLDER = Path(__file__).parent / "presets"
SETTINGS = "config.yaml"  # of a run
RUN = "run"  # its section that says on what it was begun; presets have none


def names() -> list[str]:
    """The presets that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def make_config(preset: str | os.PathLike | None = None, **values: Any) -> Config:
    """The settings of a preset, by name or path (also a run's config.yaml), with `values` in place of its own.

    Raises NetvladError for an unknown preset, key or value, listing what there is.
    """
    read = {} if preset is None else read_settings(_find(preset))[0]
    build(Config, read, str(preset)) if read else None  # a fault of the file is told as such
    return build(Config, {**read, **values}, "settings")


def read_settings(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of a YAML file, and its section `run`. Raises NetvladError where it is not one."""
    yaml = _yaml()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise NetvladError(f"{path}: cannot be read as YAML ({e})") from e
    if not isinstance(content, dict) or not isinstance(content.get(RUN, {}), dict):
        raise NetvladError(f"{path}: lines of `key: value` are wanted")
    return {k: v for k, v in content.items() if k != RUN}, content.get(RUN, {})


def write_settings(folder: Path, about: dict[str, Any], values: dict[str, Any]) -> None:
    """A run's config.yaml."""
    content = {**({RUN: about} if about else {}), **values}
    write_text(folder / SETTINGS, _yaml().safe_dump(content, sort_keys=False, allow_unicode=True))


def _find(preset: str | os.PathLike) -> Path:
    path = Path(preset)
    if path.suffix in (".yaml", ".yml"):
        return path
    if str(preset) not in names():
        raise NetvladError(f"no preset is called {str(preset)!r}; choose one of {', '.join(names())}, or a YAML file")
    return FOLDER / f"{preset}.yaml"


def _yaml():
    try:
        import yaml
    except ImportError as e:
        raise NetvladError(f"settings in YAML need PyYAML: {EXTRA}") from e
    return yaml
