"""A street-view world drawn from a seed."""
