"""Where a server is, and what it says when it does not answer."""
