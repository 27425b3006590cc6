"""What fits: the memory of each node, its words, and what would make it fit."""
