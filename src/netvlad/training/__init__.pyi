from .config import Config, Jitter, Mining
from .losses import Diverged, ranking_loss
from .record import Epoch, Record
from .run import Trained, train
from .trainer import Trainer
from .tuples import Tuples

__all__ = [
    "Config",
    "Diverged",
    "Epoch",
    "Jitter",
    "Mining",
    "Record",
    "Trained",
    "Trainer",
    "Tuples",
    "ranking_loss",
    "train",
]
