"""Findings as a person sees them: the strip under the map, the list of all, and the question before one is accepted."""
