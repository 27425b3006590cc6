"""Bring-up: reads nodes, makes the one plan, runs it, proves what came of it, and takes it back."""
