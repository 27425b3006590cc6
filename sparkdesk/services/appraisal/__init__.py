"""What is said about a running server: its speed, its memory against the plan, what would help it."""
