"""Models: their shape, their formats, the catalogue."""
