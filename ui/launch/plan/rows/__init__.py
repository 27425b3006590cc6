"""The ranked table of the plan column."""
