"""netvlad train: train a model on photos whose positions are known."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import Field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netvlad.cli.options import Clusters, Columns, DateOrder, Model, Resize, Stage, Strict, Unreadable, Workers
from netvlad.cli.outputs import out_folder
from netvlad.runtime.counted import counted
from netvlad.training.config import RENAMED, Config
from netvlad.training.schema import keys

if TYPE_CHECKING:
    from netvlad.training.held_out import Tables
    from netvlad.training.record import Record

EXAMPLE = "Example: netvlad train --places west.csv --validate west_val.csv --preset fast --out runs/west"
_SETTINGS = "Settings (in place of the preset's)"


def run(
    places: Annotated[list[Path] | None, typer.Option(help="Photos: a folder or a table; may be given again.")] = None,
    validate: Annotated[
        list[Path] | None,
        typer.Option(
            help="Photos of other places, to choose the best epoch on; may be given again (one end of the area)."
        ),
    ] = None,
    map_: Annotated[
        Path | None, typer.Option("--map", help="Tune the model of this index to the photos in it, without --places.")
    ] = None,
    model: Model = None,
    preset: Annotated[
        str | None,
        typer.Option(help="paper, fast, modern, day-night, street, or a YAML file (paper; with --map fast)."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for the run.", callback=out_folder)] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    clusters: Clusters = None,
    stage: Stage = None,
    resize: Resize = None,
    columns: Columns = None,
    date_order: DateOrder = None,
    strict: Strict = False,
    workers: Workers = None,
    unreadable: Unreadable = None,
    **settings: str | None,
) -> None:
    """Train a model on photos whose positions are known, and keep the best in a folder.

    A table with a split column gives database and queries; of others every photo is both. The best is chosen on
    photos of other places: the model as it came is kept unless an epoch finds more of them.
    --resume goes on from the last checkpoint of an interrupted run, to the same result.
    """
    from netvlad.cli.common import say, write_unreadable
    from netvlad.errors import NetvladError
    from netvlad.experiments.run import model_options
    from netvlad.training.devices import rank

    given_settings = {name: value for name, value in settings.items() if value is not None}
    options = model_options(clusters, stage, resize)
    written = {"columns": columns, "date_order": date_order}
    given = {"places": places, "validate": validate, "map": map_, "model": model, "preset": preset, "out": out}
    work: Callable[[], Record]
    if resume is not None:
        asked = {**given, **written, **options, **given_settings}
        changes = [name for name, value in asked.items() if value not in (None, [])]
        if changes:
            raise NetvladError(
                f"{resume} goes on with the settings it was begun with: leave out --{changes[0].replace('_', '-')}, "
                "or begin another run"
            )
        folder, work = resume, partial(_go_on, resume, strict, workers)
    elif out is not None and (places or map_):
        _refuse_both(map_, places, model, options)
        about = {
            "places": [str(path.absolute()) for path in places or []],
            "validate": [str(path.absolute()) for path in validate or []],
            **({"map": str(map_.absolute())} if map_ else {}),
            "held_out": not validate,
            "model": model,
            "preset": preset or ("fast" if map_ else "paper"),
            **options,
            **{name: value for name, value in written.items() if value is not None},
        }
        folder, work = out, partial(_begin, out, about, given_settings, options, strict, workers)
    else:
        raise NetvladError("--places (or --map) and --out are needed to begin a run, or --resume to go on with one")
    try:
        record = work()
    except KeyboardInterrupt:
        say(f"stopped; go on with: netvlad train --resume {folder}")
        raise
    if rank() == 0:
        _tell(record, folder)
        write_unreadable(record.unreadable, unreadable)


def _refuse_both(map_: Path | None, places: list[Path] | None, model: str | None, options: dict[str, Any]) -> None:
    """Raises NetvladError for what does not go together with --map."""
    from netvlad.errors import NetvladError

    if map_ and places:
        raise NetvladError(f"{map_} holds photos with positions already: give --map or --places, not both")
    if map_ and options and not model:
        raise NetvladError(f"--{next(iter(options))} is for a model by name, and {map_} has its own: add --model")


def _begin(
    out: Path,
    about: dict[str, Any],
    settings: dict[str, str],
    options: dict[str, Any],
    strict: bool,
    workers: int | None,
) -> Record:
    from netvlad.experiments.training_data import chosen_model, training_model
    from netvlad.training.devices import rank
    from netvlad.training.run import train
    from netvlad.training.run_folder import refuse_taken
    from netvlad.training.settings import make_config

    config = make_config(about["preset"], **settings)
    if rank() == 0:
        refuse_taken(out)  # before tables are read, which may take long
    about["model"] = chosen_model(about["model"], about.get("map"))
    tables, held = _tables(about, config, strict)
    describer, changed = training_model(about, options)
    _say_once(changed)
    return train(describer, tables, config, validation=held, out=out, about=about, workers=workers).record


def _go_on(folder: Path, strict: bool, workers: int | None) -> Record:
    from netvlad.training.run import train
    from netvlad.training.run_folder import START
    from netvlad.training.settings import read_run

    config, about = read_run(folder)
    tables, held = _tables(about, config, strict)
    return train(folder / START, tables, config, validation=held, out=folder, resume=True, workers=workers).record


def _tables(about: dict[str, Any], config: Config, strict: bool) -> tuple[Tables, Tables | None]:
    """Database and queries to train on and to validate on; how photos were held out is told."""
    from netvlad.cli.common import as_written, read_places
    from netvlad.experiments.training_data import training_data

    how = as_written(about.get("columns"), about.get("date_order"))
    tables, held, told = training_data(about, config, lambda path: read_places(Path(path), strict, **how))
    _say_once(told)
    return tables, held


def _say_once(text: str) -> None:
    """Print a message on stderr if there is any; of several processes the first one does."""
    from netvlad.cli.common import say
    from netvlad.training.devices import rank

    if text and rank() == 0:
        say(text)


def _tell(record: Record, folder: Path) -> None:
    """Print a line for the start and each epoch on stdout, and the outcome on stderr."""
    from netvlad.cli.common import percent, say, table, tell_unreadable

    tell_unreadable(record.unreadable)
    rows = [
        [str(e.number), f"{e.lr:.2g}", f"{e.loss:.4f}", str(e.violating), percent(e.recall), f"{e.wall:.0f}"]
        for e in record.epochs
    ]
    start = [["0", "-", "-", "-", percent(record.recall), "-"]] if record.recall is not None else []
    table(["epoch", "rate", "loss", "violating", "R@5 %", "seconds"], [*start, *rows])
    if record.stopped:
        say(f"stopped early: {record.stopped}")
    say(outcome(record, folder))


def outcome(record: Record, folder: Path) -> str:
    """What training was worth, and what to use."""
    from netvlad.cli.common import percent

    if record.recall is None:
        return f"{folder}: the model of epoch {record.best}, not validated; use it with --model {folder}"
    asked = f"of {counted(record.validated, 'photo')} of other places"
    if record.best == 0:
        return (
            f"training gained nothing: recall@5 {asked} was {percent(record.recall)} % before and is not higher after "
            f"any epoch. {folder} holds the model it started from: stay with that one"
        )
    best = record.best_recall or 0.0
    more = round((best - record.recall) * record.validated)
    # the variance of this number, were the photos that are found before and after independent
    chance = ", which may be chance" if more**2 <= record.validated * best * (1 - record.recall) else ""
    return (
        f"{folder}: the model of epoch {record.best}, recall@5 {asked} {percent(record.recall)} -> {percent(best)} % "
        f"({more} more found{chance}); use it with --model {folder}"
    )


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
