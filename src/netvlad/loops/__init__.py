"""Loops: frames of a drive, or of another, that show a place that was there before."""
