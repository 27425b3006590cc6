"""What the application can do. Async; knows core only."""
