"""Training from positions alone: tuples, losses, the trainer, and runs that can be resumed."""

import importlib
from typing import TYPE_CHECKING, Any

# looked up on first use: the command line reads the settings without loading torch
_WHERE = {
    "Config": "config",
    "Jitter": "config",
    "Mining": "config",
    "Diverged": "losses",
    "ranking_loss": "losses",
    "Epoch": "record",
    "Record": "record",
    "Tuples": "tuples",
    "Trainer": "trainer",
    "Trained": "run",
    "train": "run",
}
__all__ = list(_WHERE)

if TYPE_CHECKING:
    from netvlad.training.config import Config, Jitter, Mining  # noqa: F401
    from netvlad.training.losses import Diverged, ranking_loss  # noqa: F401
    from netvlad.training.record import Epoch, Record  # noqa: F401
    from netvlad.training.run import Trained, train  # noqa: F401
    from netvlad.training.trainer import Trainer  # noqa: F401
    from netvlad.training.tuples import Tuples  # noqa: F401


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"netvlad.training.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'netvlad.training' has no attribute {name!r}")
