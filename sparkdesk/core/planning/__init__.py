"""What a plan takes: memory, and later speed."""
