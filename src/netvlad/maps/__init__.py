"""The map of places on disk, and the answer to where a photo was taken."""
