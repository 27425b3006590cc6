"""What stands around the transcript: the head, the questions in line, the search, and what can be done by name."""
