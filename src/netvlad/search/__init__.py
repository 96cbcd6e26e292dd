"""Rankers: which database photos are nearest to a query."""
