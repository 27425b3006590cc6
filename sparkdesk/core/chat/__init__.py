"""Messages made of parts, the events of an answer, and their timing."""
