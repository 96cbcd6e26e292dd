"""Train NetVLAD on positions alone, and evaluate it beside the same model off the shelf."""

import os
import tempfile
from pathlib import Path

import netvlad
from netvlad.town.build import build_town

with tempfile.TemporaryDirectory() as folder:
    # Random weights of timm's smallest ResNet, so that this runs offline. With real weights: load("resnet18-netvlad").
    import timm
    from safetensors.torch import save_model

    save_model(timm.create_model("test_resnet", num_classes=0), f"{folder}/test_resnet.random.safetensors")
    os.environ["NETVLAD_WEIGHTS"] = folder

    town = build_town(Path("out/examples/town"), size="tiny")
    train, val = (netvlad.read_places(town / split / "places.parquet") for split in ("train", "val"))
    database, queries = town / "test" / "database", town / "test" / "queries"

    trained = netvlad.train(
        "test_resnet-netvlad", train, preset="fast", validation=val, out=Path(folder) / "run", epochs=1
    )
    models = {"off the shelf": "test_resnet-netvlad", "trained": trained.model}
    result = netvlad.evaluate(models, database=database, queries=queries)
    for name, recall in result.recall.items():
        print(f"{name}: recall@1 {recall[1]:.2f}, recall@5 {recall[5]:.2f}")
    result.write_report(Path(folder) / "report")
