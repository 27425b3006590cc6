"""The page Models on disk: what lies on the disk of each node, and what can be done to it."""
