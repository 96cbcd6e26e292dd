"""Evaluation of rankers: recall@N, mean average precision, ground truth and the rules of benchmarks."""
