"""The way in: one SSH server a node, whose sessions and forwards end inside the node."""
