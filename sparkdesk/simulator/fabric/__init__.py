"""The cables of the simulated nodes: what is joined, what is wrong with it, and the real network behind it."""
