"""Where was this photo taken? Visual place recognition by NetVLAD and everything around it.

model = netvlad.load("resnet18-netvlad")
index = netvlad.PlaceIndex.create("campus.vpr", model)
index.add(netvlad.read_places("photos/"))
for match in index.locate("query.jpg"):
    print(match.path, match.distance)
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# looked up on first use: `import netvlad` stays fast, and torch is loaded by who needs it
_WHERE = {
    "load": "netvlad.describe.zoo",
    "fit": "netvlad.describe.fit",
    "describe_all": "netvlad.describe.stream",
    "PlaceIndex": "netvlad.search.index",
    "Places": "netvlad.places",
    "read_places": "netvlad.places",
    "read_image": "netvlad.images",
    "Protocol": "netvlad.evaluate.result",
    "NetvladError": "netvlad.errors",
}
__all__ = ["__version__", *_WHERE]

if TYPE_CHECKING:
    from netvlad.describe.fit import fit
    from netvlad.describe.stream import describe_all
    from netvlad.describe.zoo import load
    from netvlad.errors import NetvladError
    from netvlad.evaluate.result import Protocol
    from netvlad.images import read_image
    from netvlad.places import Places, read_places
    from netvlad.search.index import PlaceIndex


def __getattr__(name: str):
    if name == "evaluate":  # a room of its own: netvlad.evaluate.evaluate(...)
        return importlib.import_module("netvlad.evaluate")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'netvlad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
