"""The field's benchmarks: facts about each, and readers of their published layouts."""

from netvlad.benchmarks.base import Benchmark, Split
from netvlad.benchmarks.protocol import Protocol
from netvlad.benchmarks.registry import benchmark, family, list_benchmarks

__all__ = ["Benchmark", "Protocol", "Split", "benchmark", "family", "list_benchmarks"]
