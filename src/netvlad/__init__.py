"""Where was this photo taken? Visual place recognition with NetVLAD and everything around it.

    model = netvlad.load("resnet18-netvlad")
    index = netvlad.PlaceIndex.create("campus.vpr", model)
    index.add(netvlad.read_places("photos/"))
    for match in index.locate("query.jpg"):
        print(match.path, match.distance)

Names are loaded on first use: `import netvlad` is fast, and torch is imported by what needs it. The stub file
`__init__.pyi` lists every public name and where it is defined.
"""

import lazy_loader

from netvlad import _moved
from netvlad.runtime.threads import wait_asleep

__version__ = "0.2.0"
__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *_names]

_moved.install()
wait_asleep()  # before NumPy, torch or faiss is loaded
