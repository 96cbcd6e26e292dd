"""netvlad train: learn from photos whose positions are known."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated

import typer

from netvlad.training.config import Config
from netvlad.training.keys import keys

EXAMPLE = "Example: netvlad train --places west.csv --validate west_val.csv --preset fast --out runs/west"
_SETTINGS = "Settings (in place of the preset's)"


def run(
    places: Annotated[list[Path] | None, typer.Option(help="Photos: a folder or a table; may be given again.")] = None,
    validate: Annotated[
        list[Path] | None, typer.Option(help="Photos of other places, to choose the best epoch on; may be given again.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model's name or folder (resnet18-netvlad).")] = None,
    preset: Annotated[
        str | None, typer.Option(help="paper, fast, modern, day-night, street, or a YAML file (paper).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for the run.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    clusters: Annotated[int | None, typer.Option(help="Cluster centres of a model given by name (64).")] = None,
    stage: Annotated[str | None, typer.Option(help="Where the backbone of a model given by name is cropped.")] = None,
    resize: Annotated[
        int | None, typer.Option(help="Longest side to scale photos down to (640); 0: never.", min=0)
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a table with bad rows instead of skipping them.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that decode photos.", min=0)] = None,
    **settings: str | None,
) -> None:
    """Train a model on photos whose positions are known, and keep the best in a folder.

    A table with a split column gives database and queries; of others every photo is both.
    --resume goes on from the last checkpoint of an interrupted run, to the same result.
    """
    from netvlad.cli.common import model_options, say
    from netvlad.errors import NetvladError

    settings = {name: value for name, value in settings.items() if value is not None}
    options = model_options(clusters, stage, resize)
    given = {"places": places, "validate": validate, "model": model, "preset": preset, "out": out}
    if resume is not None:
        changes = [name for name, value in {**given, **options, **settings}.items() if value not in (None, [])]
        if changes:
            raise NetvladError(
                f"{resume} goes on with the settings it was begun with: leave out --{changes[0].replace('_', '-')}, "
                "or begin another run"
            )
    elif not places or out is None:
        raise NetvladError("--places and --out are needed to begin a run, or --resume alone to go on with one")
    folder = out if resume is None else resume
    try:
        if resume is not None:
            record = _go_on(resume, strict, workers)
        else:
            record = _begin(out, places, validate or [], model, preset or "paper", settings, options, strict, workers)
    except KeyboardInterrupt:
        say(f"stopped; go on with: netvlad train --resume {folder}")
        raise
    if _first():
        _tell(record, folder)


def _begin(out, places, validate, model, preset, settings, options, strict, workers):
    """Fit what has to be fitted, and train."""
    from netvlad.describe.fit import fit
    from netvlad.describe.wccn import fit_local
    from netvlad.places import read_places
    from netvlad.pretrained.zoo import DEFAULT, load
    from netvlad.training.places import sets, train_places
    from netvlad.training.run_folder import refuse_taken
    from netvlad.training.settings import make_config

    config = make_config(preset, **settings)
    if _first():
        refuse_taken(out)
    table, held = _read(places, strict), _read(validate, strict)
    describer = load(model or DEFAULT, **options)
    if not describer.ready:
        if config.cameras:
            cameras = read_places(config.cameras)
            fit_local(describer, cameras.path, cameras.place, seed=config.seed, workers=workers)
        fit(describer, sets(table)[0].path, seed=config.seed, workers=workers)
        describer.fitted_on["places"] = ", ".join(path.name for path in places)
    about = {
        "places": [str(path.absolute()) for path in places],
        "validate": [str(path.absolute()) for path in validate],
        "model": model or DEFAULT,
        "preset": preset,
        **options,
    }
    return train_places(describer, table, config, held, run=out, about=about, workers=workers)


def _go_on(folder: Path, strict: bool, workers: int | None):
    from netvlad.errors import NetvladError
    from netvlad.pretrained.zoo import load
    from netvlad.training.keys import build
    from netvlad.training.places import train_places
    from netvlad.training.run_folder import START
    from netvlad.training.settings import SETTINGS, read_settings

    file = folder / SETTINGS
    if not file.is_file():
        raise NetvladError(f"{folder}: no run is there to resume (it would hold {SETTINGS})")
    values, about = read_settings(file)
    if "places" not in about:
        raise NetvladError(f"{file} does not say on which places: the run was begun from Python, so resume it there")
    table, held = (_read([Path(path) for path in about.get(name, [])], strict) for name in ("places", "validate"))
    config = build(Config, values, str(file))
    return train_places(load(folder / START), table, config, held, run=folder, resume=True, workers=workers)


def _first() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _read(paths: list[Path], strict: bool):
    """The places of several sources as one table, None of no source."""
    from netvlad.cli.common import read_places
    from netvlad.places import Places

    return Places.concat([read_places(path, strict) for path in paths]) if paths else None


def _tell(record, folder: Path) -> None:
    """What came of it: on stderr what to know, on stdout a line an epoch."""
    from netvlad.cli.common import say, table, tell_unreadable

    tell_unreadable(record.unreadable)
    rows = [
        [str(e.number), f"{e.lr:.2g}", f"{e.loss:.4f}", str(e.violating), _percent(e.recall), f"{e.wall:.0f}"]
        for e in record.epochs
    ]
    table(["epoch", "rate", "loss", "violating", "R@5 %", "seconds"], rows)
    if record.stopped:
        say(f"stopped early: {record.stopped}")
    best = record.epochs[record.best - 1]
    gained = "" if best.recall is None else f", recall@5 {_percent(record.recall)} -> {_percent(best.recall)} %"
    say(f"{folder}: the model of epoch {record.best}{gained}; use it with --model {folder}")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _with_settings(function):
    """Give `function` an option for each key of `Config`."""
    own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = []
    for each in keys(Config):
        name = "--" + each.name.replace("_", "-")
        among = "".join(f" {value}," for value in each.metadata["among"]).rstrip(",")
        told = f"{each.metadata['meaning']}{among} ({_shown(each.default)})"
        if each.type == "bool":
            kind = Annotated[bool | None, typer.Option(f"{name}/--no-{name[2:]}", help=told, rich_help_panel=_SETTINGS)]
        else:
            metavar = each.type.partition(" ")[0].upper().replace("STR", "TEXT")
            kind = Annotated[str | None, typer.Option(name, help=told, metavar=metavar, rich_help_panel=_SETTINGS)]
        options.append(inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind))
    function.__signature__ = inspect.Signature([*own, *options])
    function.__annotations__ = {p.name: p.annotation for p in (*own, *options)}


def _shown(default) -> str:
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    return default if isinstance(default, str) else f"{default:g}"


_with_settings(run)
