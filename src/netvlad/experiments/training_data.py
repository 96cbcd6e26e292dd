"""What a run trains and on which photos, as the section `run` of its settings names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from netvlad.describe.names import PROJECTION
from netvlad.describe.network import NetworkDescriber
from netvlad.maps.index import PlaceIndex
from netvlad.places import Places
from netvlad.pretrained.zoo import TRAINABLE, load
from netvlad.training.config import Config
from netvlad.training.held_out import Tables, hold_out_end
from netvlad.training.run import database_and_queries
from netvlad.types import Describer

OF_MAP = "of the map"  # in place of a model's name


class TrainingData(NamedTuple):
    """Database and queries to train on and to validate on (None: nothing), and how photos were held out, or ""."""

    tables: Tables
    validation: Tables | None
    told: str


def training_data(about: Mapping[str, Any], config: Config, read: Callable[[str], Places]) -> TrainingData:
    """The tables of a run.

    about: `places` and `validate`, lists of tables that `read` reads, or `map`, an index whose photos are both database
    and queries; `held_out`, whether one end of the area is held out where there is nothing to validate on.
    Raises NetvladError for what cannot be read, PlacesError for tables that cannot be divided.
    """
    if about.get("map"):
        photos = PlaceIndex.open(about["map"]).places
        photos = photos[photos.located | (photos.place != "")]  # nothing says what else is far from the others
        tables = photos, photos
    else:
        tables = database_and_queries(Places.concat([read(path) for path in about["places"]]))
    if about.get("validate"):
        held = database_and_queries(Places.concat([read(path) for path in about["validate"]]))
        return TrainingData(tables, held, "")
    if not about.get("held_out"):  # runs of version 0.1.0 held nothing out
        return TrainingData(tables, None, "")
    return TrainingData(*hold_out_end(*tables, config))


def training_model(about: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Describer, str]:
    """The model to train, and what was changed of it, or "".

    about: `model`, a name or a folder, or OF_MAP with `map`; options: of `netvlad.load`. A map's model loses its
    whitening, which training would make wrong. Raises ModelError for a model that is not there.
    """
    if about["model"] != OF_MAP:
        return load(about["model"], **options), ""
    model = PlaceIndex.open(about["map"]).model
    if not isinstance(model, NetworkDescriber) or model.whitening is None:
        return model, ""
    told = (
        f"the model of {about['map']} is whitened to {model.dim} numbers; it is trained and compared without, with "
        f"{model.pooled_dim}: whiten what comes out with netvlad fit --whiten {model.dim}"
    )
    model.set_whitening(None)
    for fact in (PROJECTION, "whitening_photos"):
        model.fitted_on.pop(fact, None)
    return model, told


def chosen_model(model: str | None, map_: str | os.PathLike[str] | None) -> str:
    """The model to train where `model` names none: that of the map, or the one for training."""
    return model or (TRAINABLE if map_ is None else OF_MAP)
