"""The plan column of the launch page."""
