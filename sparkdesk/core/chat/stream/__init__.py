"""What comes from a server while it answers: bytes, events, and how fast they come."""
