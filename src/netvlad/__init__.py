"""Where was this photo taken? Visual place recognition by NetVLAD and everything around it.

model = netvlad.load("resnet18-netvlad")
index = netvlad.PlaceIndex.create("campus.vpr", model)
index.add(netvlad.read_places("photos/"))
for match in index.locate("query.jpg"):
    print(match.path, match.distance)
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# looked up on first use: `import netvlad` stays fast, and torch is loaded by who needs it
_WHERE = {
    "load": "netvlad.pretrained.zoo",
    "fit": "netvlad.describe.fit",
    "train": "netvlad.training.run",
    "evaluate": "netvlad.experiments.run",
    "compare": "netvlad.experiments.comparison",
    "describe_all": "netvlad.describe.stream",
    "PlaceIndex": "netvlad.maps.index",
    "Places": "netvlad.places",
    "read_places": "netvlad.places",
    "write_places": "netvlad.places",
    "read_image": "netvlad.images.read",
    "Protocol": "netvlad.benchmarks.protocol",
    "NetvladError": "netvlad.errors",
}
__all__ = ["__version__", *_WHERE]

if TYPE_CHECKING:
    from netvlad.benchmarks.protocol import Protocol
    from netvlad.describe.fit import fit
    from netvlad.describe.stream import describe_all
    from netvlad.errors import NetvladError
    from netvlad.experiments.comparison import compare
    from netvlad.experiments.run import evaluate
    from netvlad.images.read import read_image
    from netvlad.maps.index import PlaceIndex
    from netvlad.places import Places, read_places, write_places
    from netvlad.pretrained.zoo import load
    from netvlad.training.run import train


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'netvlad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
