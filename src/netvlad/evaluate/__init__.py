"""Judging: recall@N of anything that ranks places for queries, curves, and pages to look at."""

from netvlad.evaluate.recall import recall_at
from netvlad.evaluate.report import write_report
from netvlad.evaluate.result import Evaluation, MethodResult, Protocol
from netvlad.evaluate.run import evaluate

__all__ = ["Evaluation", "MethodResult", "Protocol", "evaluate", "recall_at", "write_report"]
