"""netvlad models: what is known."""

from __future__ import annotations

EXAMPLE = "Example: NETVLAD_WEIGHTS=weights/ netvlad models"


def run() -> None:
    """List trunks and poolings: dimensions, where the weights come from, their licence."""
    from netvlad.cli.common import table
    from netvlad.describe.zoo import dense_vlad_centres, known

    rows = [
        [k.trunk, k.stage, str(k.dim), str(64 * k.dim), str(k.stride), k.weights, k.licence, k.remark] for k in known()
    ]
    table(["trunk", "cropped at", "max/avg/gem", "vlad/netvlad (K=64)", "stride", "weights", "licence", ""], rows)
    print(
        "A model is <trunk>-<pooling>, e.g. resnet18-netvlad; any timm architecture can be the trunk. Poolings: max, "
        "avg, gem, vlad (hard assignment), netvlad (the paper's initialisation), netvlad2 (equation 4).\n"
        f"densevlad needs no trunk: dense RootSIFT, VLAD (K=128), 16384-D; centres: {dense_vlad_centres()}."
    )
