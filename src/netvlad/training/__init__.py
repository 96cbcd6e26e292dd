"""Training from positions alone: tuples, the ranking loss, the trainer; runs that can be resumed."""

import importlib
from typing import TYPE_CHECKING

# looked up on first use: the settings are known to the command line, which does not load torch for them
_WHERE = {
    "Config": "config",
    "Jitter": "config",
    "Mining": "config",
    "Diverged": "loss",
    "ranking_loss": "loss",
    "Epoch": "record",
    "Record": "record",
    "Tuples": "tuples",
    "train": "trainer",
    "train_places": "places",
}
__all__ = list(_WHERE)

if TYPE_CHECKING:
    from netvlad.training.config import Config, Jitter, Mining  # noqa: F401
    from netvlad.training.loss import Diverged, ranking_loss  # noqa: F401
    from netvlad.training.places import train_places  # noqa: F401
    from netvlad.training.record import Epoch, Record  # noqa: F401
    from netvlad.training.trainer import train  # noqa: F401
    from netvlad.training.tuples import Tuples  # noqa: F401


def __getattr__(name: str):
    if name in _WHERE:
        return getattr(importlib.import_module(f"netvlad.training.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'netvlad.training' has no attribute {name!r}")
