"""netvlad models: list backbones, poolings and published models."""

from __future__ import annotations

POOLINGS = ("max", "avg", "gem", "vlad", "netvlad", "netvlad2")  # as the text below explains them
EXAMPLE = "Example: NETVLAD_WEIGHTS=weights/ netvlad models"


def run() -> None:
    """List models: dimensions, source of the weights, licence, published results."""
    from netvlad.benchmarks.published import numbers_of
    from netvlad.cli.common import table
    from netvlad.pretrained.listing import dense_vlad_centres, listed_backbones, listed_models
    from netvlad.registry import models, poolings

    rows = [
        [k.backbone, k.stage, str(k.dim), str(64 * k.dim), str(k.stride), k.weights, k.licence, k.remark]
        for k in listed_backbones()
    ]
    table(["backbone", "cropped at", "max/avg/gem", "vlad/netvlad (K=64)", "stride", "weights", "licence", ""], rows)
    print(
        "A model is <backbone>-<pooling>, e.g. resnet18-netvlad; any timm architecture can be the backbone. Poolings: "
        "max, avg, gem, vlad (hard assignment), netvlad (the paper's initialisation), netvlad2 (equation 4).\n"
        f"densevlad needs no backbone: dense RootSIFT, VLAD (K=128), 16384-D; centres: {dense_vlad_centres()}."
    )
    rows = [
        [m.name, str(m.dim), m.size, numbers_of(m.name) or "in the paper", m.source, m.licence, m.here]
        for m in listed_models()
    ]
    table(["published model", "dim", "photos", "recall@1/5/10", "source", "licence", "weights"], rows)
    print(
        "Published models are used by their name, e.g. --model megaloc. No publisher gives a checksum. Those of "
        "torch.hub run code of the repository that is named; its licence holds for them."
    )
    plugins = {"models": models.names(), "poolings": [name for name in poolings if name not in POOLINGS]}
    for kind, names in plugins.items():
        if names:
            print(f"Registered by other packages, {kind}: {', '.join(names)}.")
