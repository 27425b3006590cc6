"""The launch page: pick a model, see what it takes, start it."""
