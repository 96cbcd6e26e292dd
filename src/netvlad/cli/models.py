"""netvlad models: list backbones, poolings and published models."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from netvlad.cli.options import Device

POOLINGS = ("max", "avg", "gem", "vlad", "netvlad", "netvlad2", "vladbuff")  # as the text below explains them
EXAMPLE = "Example: NETVLAD_WEIGHTS=weights/ netvlad models"
WIDTH = 80
BYTES = 2  # of one number of a vector in a map
CLUSTERS, DIM = 64, 512  # centres of a NetVLAD, numbers of the default model


def run(
    measure: Annotated[
        bool, typer.Option("--measure", help="First time those whose weights are here, and keep the times.")
    ] = False,
    device: Device = None,
) -> None:
    """List models: recall, time and bytes a photo, licence, whether they are here, source, published results."""
    from netvlad.pretrained.listing import dense_vlad_centres
    from netvlad.registry import models, poolings

    if measure:
        _measure()
    _measured()
    _backbones()
    _say(
        "A model is <backbone>-<pooling>, e.g. resnet18-netvlad; any timm architecture can be the backbone. Poolings: "
        "max, avg, gem, vlad (hard assignment), netvlad (the paper's initialisation), netvlad2 (equation 4), vladbuff "
        "(NetVLAD with burst weights)."
    )
    _say(
        "default comes with the package and needs no download: tf_efficientnet_lite0-netvlad with a packaged "
        f"normalisation, projected to {DIM} numbers on a map's own photos, {BYTES * DIM} bytes a photo."
    )
    _say(
        f"densevlad needs no backbone: dense RootSIFT, VLAD (K=128), 16384-D, {BYTES * 16384} bytes a photo; centres: "
        f"{dense_vlad_centres()}. densevlad-2015 rounds SIFT to bytes, as its authors' code does."
    )
    print()
    _published()
    _say(
        f"Bytes are those of a map, {BYTES} a number. One recall alone is recall@1. "
        "Published models are used by their name, e.g. --model megaloc. No publisher gives a checksum. Those with an "
        "address on GitHub run code of that repository, mixvpr excepted; its licence holds for them."
    )
    plugins = {"models": models.others(), "poolings": [name for name in poolings.others() if name not in POOLINGS]}
    for kind, names in plugins.items():
        if names:
            _say(f"Registered by other packages, {kind}: {', '.join(names)}.")


def _measure() -> None:
    from netvlad.cli.common import say
    from netvlad.pretrained.listing import HERE, listed_backbones, listed_models
    from netvlad.pretrained.measured import MEASURED, measure_times

    here = [k.backbone for k in listed_backbones() if k.here == HERE]
    names = [m.name for m in MEASURED if m.name.rpartition("-")[0] in ["", *here]]  # the first and densevlad need none
    names += [f"{backbone}-netvlad" for backbone in here if f"{backbone}-netvlad" not in names]
    names += [m.name for m in listed_models() if m.here == HERE]
    for name, found in measure_times(names):
        say(f"{name}: {found}" if isinstance(found, str) else f"{name}: {found:.0f} ms a photo")


def _measured() -> None:
    from netvlad.pretrained.measured import MEASURED, read_times

    times = read_times()
    print(f"{'model':32}{'bytes a photo':>14}{'ms a photo':>12}{'campus':>9}{'tower':>8}")
    for m in MEASURED:
        ms = f"{times.pop(m.name):.0f}" if m.name in times else ""
        print(f"{m.name:32}{BYTES * m.dim:14}{ms:>12}{m.campus:9}{m.tower:8}")
    for name, one in times.items():
        print(f"{name:32}{'':14}{one:12.0f}")
    _note(
        "campus, tower: recall@1 in percent across day and night, and in a building (docs/results). ms: 640x480, on "
        "this machine, by netvlad models --measure."
    )
    print()


def _backbones() -> None:
    from netvlad.pretrained.listing import listed_backbones

    print(f"{'':24}{'bytes a photo':>26}")
    print(f"{'backbone':24}{'max/avg/gem':>12}{f'netvlad, K={CLUSTERS}':>14}  {'licence':14}weights")
    for k in listed_backbones():
        small, large = BYTES * k.dim, BYTES * CLUSTERS * k.dim
        print(f"{k.backbone:24}{small:12}{large:14}  {k.licence:14}{k.here}")
        _note(f"{k.remark}; {k.dim}-D at {k.stage}, stride {k.stride}; {k.weights}")
    print()


def _published() -> None:
    from netvlad.benchmarks.published import numbers_of
    from netvlad.pretrained.listing import listed_models

    print(f"{'published model':26}{'dim':>6}{'bytes a photo':>15}  {'licence':19}weights")
    for m in listed_models():
        print(f"{m.name:26}{m.dim:6}{BYTES * m.dim:15}  {m.licence:19}{m.here}")
        recalls = numbers_of(m.name)
        said = f"recall@1/5/10 {recalls} ({m.source})" if recalls else f"recalls in {m.source}"
        _note(f"photos {m.size}; {said}; {m.page}")
    print()


def _note(text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))


def _say(text: str) -> None:
    print(textwrap.fill(text, WIDTH, break_on_hyphens=False))
