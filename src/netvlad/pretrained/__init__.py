"""Models that others published, by name."""
