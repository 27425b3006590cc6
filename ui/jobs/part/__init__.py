"""The parts of one deployment's side of the page."""
