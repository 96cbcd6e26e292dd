"""netvlad train: train a model on photos whose positions are known."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import Field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad.cli.options import Clusters, Model, Resize, Stage, Strict, Unreadable, Workers
from netvlad.cli.outputs import out_folder
from netvlad.training.config import RENAMED, Config
from netvlad.training.schema import keys

if TYPE_CHECKING:
    from netvlad.places import Places
    from netvlad.training.record import Record

EXAMPLE = "Example: netvlad train --places west.csv --validate west_val.csv --preset fast --out runs/west"
_SETTINGS = "Settings (in place of the preset's)"


def run(
    places: Annotated[list[Path] | None, typer.Option(help="Photos: a folder or a table; may be given again.")] = None,
    validate: Annotated[
        list[Path] | None, typer.Option(help="Photos of other places, to choose the best epoch on; may be given again.")
    ] = None,
    model: Model = None,
    preset: Annotated[
        str | None, typer.Option(help="paper, fast, modern, day-night, street, or a YAML file (paper).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for the run.", callback=out_folder)] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    clusters: Clusters = None,
    stage: Stage = None,
    resize: Resize = None,
    strict: Strict = False,
    workers: Workers = None,
    unreadable: Unreadable = None,
    **settings: str | None,
) -> None:
    """Train a model on photos whose positions are known, and keep the best in a folder.

    A table with a split column gives database and queries; of others every photo is both.
    --resume goes on from the last checkpoint of an interrupted run, to the same result.
    """
    from netvlad.cli.common import say, write_unreadable
    from netvlad.errors import NetvladError
    from netvlad.experiments.run import model_options
    from netvlad.training.devices import rank

    given_settings = {name: value for name, value in settings.items() if value is not None}
    options = model_options(clusters, stage, resize)
    given = {"places": places, "validate": validate, "model": model, "preset": preset, "out": out}
    if resume is not None:
        changes = [name for name, value in {**given, **options, **given_settings}.items() if value not in (None, [])]
        if changes:
            raise NetvladError(
                f"{resume} goes on with the settings it was begun with: leave out --{changes[0].replace('_', '-')}, "
                "or begin another run"
            )
        folder, work = resume, partial(_go_on, resume, strict, workers)
    elif places and out is not None:
        tables = places, validate or []
        folder = out
        work = partial(_begin, out, *tables, model, preset or "paper", given_settings, options, strict, workers)
    else:
        raise NetvladError("--places and --out are needed to begin a run, or --resume alone to go on with one")
    try:
        record = work()
    except KeyboardInterrupt:
        say(f"stopped; go on with: netvlad train --resume {folder}")
        raise
    if rank() == 0:
        _tell(record, folder)
        write_unreadable(record.unreadable, unreadable)


def _begin(
    out: Path,
    places: list[Path],
    validate: list[Path],
    model: str | None,
    preset: str,
    settings: dict[str, str],
    options: dict[str, Any],
    strict: bool,
    workers: int | None,
) -> Record:
    from netvlad.pretrained.zoo import TRAINABLE, load
    from netvlad.training.devices import rank
    from netvlad.training.run import train
    from netvlad.training.run_folder import refuse_taken
    from netvlad.training.settings import make_config

    config = make_config(preset, **settings)
    if rank() == 0:
        refuse_taken(out)  # before tables are read, which may take long
    about = {
        "places": [str(path.absolute()) for path in places],
        "validate": [str(path.absolute()) for path in validate],
        "model": model or TRAINABLE,
        "preset": preset,
        **options,
    }
    table, held = _read(places, strict), _read(validate, strict) if validate else None
    describer = load(model or TRAINABLE, **options)
    return train(describer, table, config, validation=held, out=out, about=about, workers=workers).record


def _go_on(folder: Path, strict: bool, workers: int | None) -> Record:
    from netvlad.training.run import train
    from netvlad.training.run_folder import START
    from netvlad.training.settings import read_run

    config, about = read_run(folder)
    table = _read([Path(path) for path in about["places"]], strict)
    validate = [Path(path) for path in about.get("validate", [])]
    held = _read(validate, strict) if validate else None
    return train(folder / START, table, config, validation=held, out=folder, resume=True, workers=workers).record


def _read(paths: list[Path], strict: bool) -> Places:
    """The places of several sources as one table."""
    from netvlad.cli.common import read_places
    from netvlad.places import Places

    return Places.concat([read_places(path, strict) for path in paths])


def _tell(record: Record, folder: Path) -> None:
    """Print a line for each epoch on stdout, and the outcome on stderr."""
    from netvlad.cli.common import percent, say, table, tell_unreadable

    tell_unreadable(record.unreadable)
    rows = [
        [str(e.number), f"{e.lr:.2g}", f"{e.loss:.4f}", str(e.violating), percent(e.recall), f"{e.wall:.0f}"]
        for e in record.epochs
    ]
    table(["epoch", "rate", "loss", "violating", "R@5 %", "seconds"], rows)
    if record.stopped:
        say(f"stopped early: {record.stopped}")
    best = record.epochs[record.best - 1]
    gained = "" if best.recall is None else f", recall@5 {percent(record.recall)} -> {percent(best.recall)} %"
    say(f"{folder}: the model of epoch {record.best}{gained}; use it with --model {folder}")


def _with_settings(function: Callable[..., None]) -> None:
    """Give `function` an option for each key of `Config`, and hidden ones for the keys' old names."""
    own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
    by_name = {each.name: each for each in keys(Config)}
    options = [_option(name, each) for name, each in by_name.items()]
    options += [_option(old, by_name[new], hidden=True) for old, new in RENAMED.items()]
    function.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]  # what typer reads
    function.__annotations__ = {p.name: p.annotation for p in (*own, *options)}


def _option(key: str, each: Field[Any], hidden: bool = False) -> inspect.Parameter:
    name = "--" + key.replace("_", "-")
    among = "".join(f" {value}," for value in each.metadata["among"]).rstrip(",")
    told = f"{each.metadata['meaning']}{among} ({_shown(each.default)})"
    panel: Any = {"help": told, "rich_help_panel": _SETTINGS, "hidden": hidden}
    kind: Any
    if each.type == "bool":
        kind = Annotated[bool | None, typer.Option(f"{name}/--no-{name[2:]}", **panel)]
    else:
        metavar = str(each.type).partition(" ")[0].upper().replace("STR", "TEXT")
        kind = Annotated[str | None, typer.Option(name, metavar=metavar, **panel)]
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _shown(default: object) -> str:
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    return default if isinstance(default, str) else f"{default:g}"


_with_settings(run)
