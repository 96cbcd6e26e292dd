"""The field's benchmarks: facts about each, and readers of their published layouts."""

from netvlad.places.benchmarks.base import Benchmark, Split
from netvlad.places.benchmarks.registry import benchmark, family, names

__all__ = ["Benchmark", "Split", "benchmark", "family", "names"]
