"""Work shared among the machines of a Ray cluster."""
