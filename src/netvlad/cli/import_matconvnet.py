"""netvlad import-matconvnet: convert a network of NetVLAD's authors into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import Resize
from netvlad.cli.outputs import out_folder

EXAMPLE = "Example: netvlad import-matconvnet vd16_pitts30k_conv5_3_vlad_preL2_intra_white.mat --out models/pitts30k"


def run(
    file: Annotated[Path, typer.Argument(help=".mat file of MATLAB 5, 7 or 7.3.")],
    out: Annotated[Path, typer.Option(help="Folder to save the model in.", callback=out_folder)],
    dim: Annotated[int | None, typer.Option(help="Keep only this many whitened numbers, the first.", min=1)] = None,
    resize: Resize = None,
) -> None:
    """Convert a network published with NetVLAD (MatConvNet, MATLAB) into a model folder.

    The authors did not scale photos: --resize 0.
    """
    from netvlad.cli.common import say
    from netvlad.experiments.run import model_options
    from netvlad.pretrained.matconvnet import import_matconvnet

    model = import_matconvnet(file, **model_options(None, None, resize))
    if dim:
        model.crop(dim)
    model.save(out)
    say(f"wrote {out}: {model.name}, {model.dim}-D; use it with --model {out}")
