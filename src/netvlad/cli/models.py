"""netvlad models: what is known."""

from __future__ import annotations

EXAMPLE = "Example: NETVLAD_WEIGHTS=weights/ netvlad models"


def run() -> None:
    """List models: dimensions, where the weights come from, their licence, what they are said to reach."""
    from netvlad.benchmarks.published import numbers_of
    from netvlad.cli.common import table
    from netvlad.pretrained.zoo import dense_vlad_centres, known, others

    rows = [
        [k.backbone, k.stage, str(k.dim), str(64 * k.dim), str(k.stride), k.weights, k.licence, k.remark]
        for k in known()
    ]
    table(["backbone", "cropped at", "max/avg/gem", "vlad/netvlad (K=64)", "stride", "weights", "licence", ""], rows)
    print(
        "A model is <backbone>-<pooling>, e.g. resnet18-netvlad; any timm architecture can be the backbone. Poolings: max, "
        "avg, gem, vlad (hard assignment), netvlad (the paper's initialisation), netvlad2 (equation 4).\n"
        f"densevlad needs no backbone: dense RootSIFT, VLAD (K=128), 16384-D; centres: {dense_vlad_centres()}."
    )
    rows = [
        [m.name, str(m.dim), m.size, numbers_of(m.name) or "in the paper", m.source, m.licence, m.here]
        for m in others()
    ]
    table(["published model", "dim", "photos", "recall@1/5/10", "source", "licence", "weights"], rows)
    print(
        "Published models are used by their name, e.g. --model megaloc. No publisher gives a checksum. Those of "
        "torch.hub run code of the repository that is named; its licence holds for them."
    )
