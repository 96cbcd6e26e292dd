"""Experiments: tasks, rankers by name, cached rankings, comparisons."""
