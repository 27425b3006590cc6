"""Model servers and other jobs on nodes: launched, watched, stopped, adopted."""
