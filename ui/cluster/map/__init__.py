"""The map of nodes and cables: which lines there are, where everything lies, and how it is painted."""
