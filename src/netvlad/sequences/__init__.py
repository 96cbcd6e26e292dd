"""Frames in order make each other sure: what ranks the frames of a video by those around them, in NumPy alone."""
