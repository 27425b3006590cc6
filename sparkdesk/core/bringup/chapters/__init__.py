"""The chapters of a bring-up: each a pure function of the case, with its rows of the matrix and its steps."""
