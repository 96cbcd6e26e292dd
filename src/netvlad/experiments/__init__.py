"""Experiments: what `netvlad evaluate` and `netvlad compare` do, from Python.

evaluate, in `netvlad.experiments.run`: judge models on one task -> Result (recall, average_precision, write_report).
compare, in `netvlad.experiments.comparison`: methods side by side, with figure and tables -> Comparison.
benchmark_task, table_task, in `netvlad.experiments.tasks`: a database, queries and a protocol -> Task.
RerankOptions, in `netvlad.search.rerank`: what `evaluate(rerank=...)` takes.
"""
