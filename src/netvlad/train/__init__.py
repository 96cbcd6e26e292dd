"""Training from positions alone: tuples, the ranking loss, the trainer."""

from netvlad.train.config import Config, Epoch, Record
from netvlad.train.loss import Diverged, ranking_loss
from netvlad.train.trainer import train
from netvlad.train.tuples import Mining, Tuples

__all__ = ["Config", "Diverged", "Epoch", "Mining", "Record", "Tuples", "ranking_loss", "train"]
