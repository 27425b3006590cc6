"""Which nodes there are, the line to each of them, and what is found on them."""
