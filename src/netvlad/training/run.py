"""Training from a model and places to a trained model in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from netvlad.describe.default import DefaultNetVLAD
from netvlad.describe.fit import fit
from netvlad.describe.fixed_cameras import fit_local
from netvlad.describe.network import NetworkDescriber
from netvlad.errors import ModelError, NetvladError, PlacesError
from netvlad.places import Places, read_places
from netvlad.places.splits import split_rows
from netvlad.runtime.counted import counted
from netvlad.training.config import Config
from netvlad.training.devices import rank
from netvlad.training.record import Record
from netvlad.training.run_folder import PAIRS, START, RunFolder, refuse_taken
from netvlad.training.schema import flat
from netvlad.training.settings import make_config, refuse_missing
from netvlad.training.trainer import Trainer
from netvlad.types import Describer


class Trained(NamedTuple):
    """A trained model, with the weights of its best epoch, and the history of its training."""

    model: NetworkDescriber
    record: Record


def train(
    model: str | os.PathLike[str] | Describer,
    places: Places | tuple[Places, Places],
    config: Config | None = None,
    *,
    preset: str | os.PathLike[str] | None = None,
    validation: Places | tuple[Places, Places] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
    workers: int | None = None,
    **settings: Any,
) -> Trained:
    """Train a model on photos whose positions are known (paper, section 4 and appendix A).

    model: a name or folder, as `netvlad.load` takes it, or a describer, which is changed in place. Missing cluster
    centres are fitted on the database first; with `cameras` its local descriptors are normalised before that.
    places: database and queries, or one table, which `database_and_queries` divides; validation: the same, of other
    places, to choose the best epoch on; without it the last epoch is kept.
    config: all settings; or preset, a name or a YAML file, and `settings`, keys of `Config` in place of the preset's.
    out: a new folder for settings, checkpoints, logs, curves and the best model; resume: go on with the run in `out`,
    given the same places and settings. about: facts for its config.yaml; `netvlad train --resume` reads the tables that
    `places` and `validate` list there. workers: processes that decode photos.
    Raises ModelError for a model that cannot be trained, PlacesError where no tuples can be formed, Diverged where the
    loss is not finite in the first epoch, NetvladError for wrong settings or a folder in use.
    """
    if config is None:
        config = make_config(preset, **settings)
    elif preset is not None or settings:
        raise NetvladError("config has all settings: give it, or a preset and settings, not both")
    if out is None and resume:
        raise NetvladError("resume goes on with the run in the folder out: give that folder")
    if out is not None and resume:
        refuse_missing(Path(out))
    elif out is not None and rank() == 0:
        refuse_taken(Path(out))
    describer = _trainable(model, out if resume else None)
    database, queries = _divided(places)
    held = None if validation is None else _divided(validation)
    if not describer.ready:
        _fit(describer, database, config, (about or {}).get("places", []), workers)
    if out is None:
        return Trained(describer, Trainer(describer, database, queries, config, held, workers=workers).run())
    if config.mining.positives == "verified" and config.mining.confirmed is None:
        config = replace(config, mining=replace(config.mining, confirmed=str(Path(out) / PAIRS)))
    folder = RunFolder(out, writes=rank() == 0)
    trainer = Trainer(describer, database, queries, config, held, folder=folder, workers=workers)
    if resume:
        folder.go_on()
    else:
        folder.begin(describer, flat(config), about or {})
    trainer.network.devices.wait()
    return Trained(describer, trainer.run(resume=resume))


def database_and_queries(places: Places) -> tuple[Places, Places]:
    """Divide a table by its split column; without one every photo is in both.

    Raises PlacesError where the column names only one of the two, or the table has fewer than 2 photos.
    """
    if len(places) < 2:
        raise PlacesError(
            f"{counted(len(places), 'photo')}: there is nothing to compare; photos of several places are wanted"
        )
    database, queries = split_rows(places)
    if not database.any() and not queries.any():
        return places, places
    if not database.any() or not queries.any():
        named, other = ("database", "query") if database.any() else ("query", "database")
        raise PlacesError(
            f"the split column names {named} photos but none that is {other}: name both, or leave the column out"
        )
    return places[database], places[queries]


def _divided(places: Places | tuple[Places, Places]) -> tuple[Places, Places]:
    return database_and_queries(places) if isinstance(places, Places) else places


def _trainable(model: str | os.PathLike[str] | Describer, run: str | os.PathLike[str] | None) -> NetworkDescriber:
    """The describer to train; for a resumed run of a model by name, the copy in the run's folder."""
    from netvlad.pretrained.zoo import TRAINABLE, load

    found: Describer
    found = load(model if run is None else Path(run) / START) if isinstance(model, str | os.PathLike) else model
    if not isinstance(found, NetworkDescriber):
        raise ModelError(f"{found.name} cannot be trained: only a backbone with a pooling is, as resnet18-netvlad")
    if isinstance(found, DefaultNetVLAD):
        raise ModelError(f"{found.name} is fitted to a map, not trained: train {TRAINABLE}, on the same backbone")
    return found


def _fit(model: NetworkDescriber, database: Places, config: Config, sources: list[str], workers: int | None) -> None:
    """Fit cluster centres, and before them the normalisation of local descriptors by fixed cameras."""
    if config.cameras:
        cameras = read_places(config.cameras)
        fit_local(model, cameras.path.tolist(), cameras.place.tolist(), seed=config.seed, workers=workers)
    fit(model, database.path.tolist(), seed=config.seed, workers=workers)
    if sources:
        model.fitted_on["places"] = ", ".join(Path(source).name for source in sources)
