"""netvlad fit: choose a model and fit its centres and whitening on photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import Columns, DateOrder, Device, Resize, Seed, Strict, TrustCode, Workers
from netvlad.cli.outputs import out_folder

EXAMPLE = "Example: netvlad fit --places west.csv --pooling netvlad --clusters 32 --whiten 256 --out models/west"


def run(
    places: Annotated[Path, typer.Option(help="Photos to fit on: a folder or a table.")],
    out: Annotated[Path, typer.Option(help="Folder to save the model in.", callback=out_folder)],
    model: Annotated[
        str | None, typer.Option(help="Name of a model, such as densevlad, instead of --backbone and --pooling.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", "--trunk", help="A timm architecture, or alexnet (tf_efficientnet_lite0)."),
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Stage to crop it at, e.g. layer3 or conv5_3.")] = None,
    pooling: Annotated[str | None, typer.Option(help="max, avg, gem, vlad, netvlad or netvlad2 (netvlad).")] = None,
    clusters: Annotated[
        int | None, typer.Option(help="Cluster centres of a VLAD pooling (64; densevlad: 128).", min=2)
    ] = None,
    whiten: Annotated[int | None, typer.Option(help="Whiten by PCA to this many dimensions.", min=1)] = None,
    cameras: Annotated[
        Path | None, typer.Option(help="Normalise (WCCN) by fixed cameras: a table with path and place.")
    ] = None,
    resize: Resize = None,
    trust_code: TrustCode = False,
    seed: Seed = 0,
    columns: Columns = None,
    date_order: DateOrder = None,
    strict: Strict = False,
    workers: Workers = None,
    device: Device = None,
) -> None:
    """Fit a model's cluster centres and whitening on photos, and save it. It needs no training and no positions."""
    from netvlad.cli.common import as_written, read_places, say
    from netvlad.describe.base import BaseDescriber
    from netvlad.describe.default import DefaultNetVLAD
    from netvlad.describe.fit import fit
    from netvlad.describe.fixed_cameras import fit_cameras, fit_local
    from netvlad.describe.names import DEFAULT_BACKBONE
    from netvlad.describe.network import NetworkDescriber
    from netvlad.errors import ModelError
    from netvlad.experiments.run import model_options
    from netvlad.pretrained.zoo import load

    if model and (backbone or pooling):
        raise ModelError(f"--model {model} includes both: leave --backbone and --pooling out, or --model")
    if whiten and cameras:
        raise ModelError("--whiten and --cameras are two ways to whiten: choose one")
    name = model or f"{backbone or DEFAULT_BACKBONE}-{pooling or 'netvlad'}"
    describer = load(name, **model_options(clusters, stage, resize, trust_code=trust_code))
    if not isinstance(describer, BaseDescriber):
        raise ModelError(f"{name} of another package cannot be fitted here: use it as it is")
    if cameras and isinstance(describer, DefaultNetVLAD):
        raise ModelError(f"{name} is normalised by cameras of its own: leave --cameras out, or leave --model out")
    how = as_written(columns, date_order)
    seen = read_places(cameras, strict, **how) if cameras else None
    by_camera = (seen.path.tolist(), seen.place.tolist()) if seen is not None else None
    if by_camera and isinstance(describer, NetworkDescriber) and not describer.ready:
        fit_local(describer, *by_camera, seed=seed, workers=workers)
    fit(describer, read_places(places, strict, **how).path.tolist(), whiten=whiten, seed=seed, workers=workers)
    if by_camera:
        fit_cameras(describer, *by_camera, seed=seed, workers=workers)
    describer.fitted_on["places"] = places.name
    describer.save(out)
    say(f"wrote {out}: {describer.name}, {describer.dim}-D; use it with --model {out}")
