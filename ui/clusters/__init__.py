"""The saved clusters: the switcher in the strip, and versions compared over the nodes."""
