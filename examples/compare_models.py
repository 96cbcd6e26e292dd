"""Compare methods on one task: a table and a figure, as a paper prints them."""

import tempfile
from pathlib import Path

import netvlad
from netvlad.town.build import build_town

with tempfile.TemporaryDirectory() as folder:
    town = build_town(Path("out/examples/town"), size="tiny")
    comparison = netvlad.compare(
        ["densevlad", "vocabtree-4x3-n2"],  # names, folders of saved models, describers or rankers
        out=Path(folder) / "figure",
        database=town / "test" / "database",
        queries=town / "test" / "queries",
        resize=96,
    )
    for path in comparison.files:
        print(path.name)
    print((Path(folder) / "figure" / "table.md").read_text())
