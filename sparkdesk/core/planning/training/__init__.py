"""Training: how it scales over nodes, what it takes, and the measured runs it scales from."""
