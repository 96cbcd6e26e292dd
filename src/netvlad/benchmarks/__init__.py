"""The field's benchmarks: facts about each, and readers of their published layouts."""

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.registry import benchmark, family, names

__all__ = ["Benchmark", "Split", "benchmark", "family", "names"]
