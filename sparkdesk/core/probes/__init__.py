"""What is read on nodes, and what it means: everything that reads a node is a probe, and none changes anything."""
