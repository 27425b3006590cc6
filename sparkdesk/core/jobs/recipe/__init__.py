"""Recipes and pasted text become the fields of a launch request; a request becomes text that others use."""
