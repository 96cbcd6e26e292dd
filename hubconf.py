"""Entry for torch.hub, which makes this package's models without installing it.

    describer = torch.hub.load("OWNER/netvlad", "netvlad")

OWNER is the account on GitHub that holds this repository.
"""

import os
import sys

# what making a describer imports; torch.hub names those that are not installed
dependencies = ["torch", "torchvision", "timm", "numpy", "scipy", "PIL", "cv2", "safetensors", "huggingface_hub"]
dependencies += ["lazy_loader", "filelock", "typing_extensions"]


def netvlad(name: str | os.PathLike[str] = "default", **options: object):
    """What `netvlad.load(name, **options)` returns: a describer by name, from a folder or of the Hugging Face hub.

    The package of this checkout is imported, unless another one has been already. Raises ModelError.
    """
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "src")
    if source not in sys.path:  # it stays there: the package imports its parts when they are needed
        sys.path.insert(0, source)
    from netvlad import load

    return load(name, **options)
