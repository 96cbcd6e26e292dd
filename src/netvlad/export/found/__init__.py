"""Answers of `netvlad locate` as files of other tools: tables, map layers, way points."""
