"""Positions that were found, in the photos themselves: XMP sidecars, EXIF blocks, and a journal to take them back."""
